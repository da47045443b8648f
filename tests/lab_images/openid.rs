//! The stand-in for Authelia as an `OpenID` Connect provider, and the client that the stand-ins for applications share.

use super::authelia::{Authelia, python, said};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::fs;

/// Made by `authelia crypto pair rsa generate` in the same folder. The digest is that of the users' password.
const PROVIDER: &str = r#"
identity_providers:
  oidc:
    hmac_secret: a secret that tokens are made with
    jwks:
      - algorithm: RS256
        key: {{ secret "FOLDER/private.pem" | mindent 10 "|" | msquote }}
    clients:
      - client_id: photos
        client_secret: 'HASH'
        redirect_uris: ['https://photos.example.org/auth/login']
        authorization_policy: one_factor
        require_pkce: true
        consent_mode: implicit
"#;
const BACK: &str = "https%3A%2F%2Fphotos.example.org%2Fauth%2Flogin";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// With one client, changed like this; none where python3 or OpenSSL cannot run it.
fn provider(change: impl FnOnce(String) -> String) -> Option<Authelia> {
    let lab = Authelia::new(|text| text)?;
    let folder = lab.folder.path().display().to_string();
    let made = lab
        .command(&["crypto", "pair", "rsa", "generate", "--directory", &folder])
        .output();
    said(&made.expect("runs"));
    let users = fs::read_to_string(lab.folder.path().join("users.yml")).expect("written");
    let hash = users.split('\'').nth(1).unwrap_or_default();
    assert!(!hash.is_empty(), "a hash stands there");
    let path = lab.folder.path().join("configuration.yml");
    let text = fs::read_to_string(&path).expect("written");
    let more = PROVIDER.replace("FOLDER", &folder).replace("HASH", hash);
    fs::write(&path, text + &change(more)).expect("written");
    Some(lab)
}

/// Status, where to go, and what is said.
async fn asked(lab: &Authelia, query: &str, cookie: &str) -> (StatusCode, String, Value) {
    let answer = lab
        .request(Method::GET, &format!("/api/oidc/authorization?{query}"))
        .header("X-Forwarded-Host", "auth.example.org")
        .header("X-Forwarded-Proto", "https")
        .header("Cookie", cookie)
        .send()
        .await
        .expect("an answer");
    let location = answer.headers().get("location");
    let location = location.map_or(String::new(), |v| v.to_str().expect("text").to_owned());
    let status = answer.status();
    (status, location, answer.json().await.unwrap_or_default())
}

fn query(client: &str, back: &str) -> String {
    format!(
        "client_id={client}&redirect_uri={back}&response_type=code&scope=openid%20email&state=long-enough\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

#[tokio::test]
async fn a_known_client_is_led_to_the_sign_in_and_no_other() {
    let Some(mut lab) = provider(|text| text) else {
        return;
    };
    lab.start().await;
    let (status, _, told) = asked(&lab, &query("nobody", BACK), "").await;
    assert_eq!(
        (status.as_u16(), &told["error"]),
        (401, &json!("invalid_client"))
    );
    let (status, _, told) = asked(&lab, &query("photos", "https%3A%2F%2Fevil.example"), "").await;
    assert_eq!(
        (status.as_u16(), &told["error"]),
        (400, &json!("invalid_request"))
    );
    let (status, location, _) = asked(&lab, &query("photos", BACK), "").await;
    assert_eq!(status, StatusCode::FOUND);
    assert!(
        location.starts_with("https://auth.example.org/?flow=openid_connect&flow_id="),
        "{location}"
    );
    let bare = query("photos", BACK).replace("code_challenge=", "x=");
    let (_, location, _) = asked(&lab, &bare, "").await;
    assert!(
        location.starts_with("https://photos.example.org/auth/login?error=invalid_request"),
        "{location}"
    );
}

#[tokio::test]
async fn a_code_tells_who_it_is_to_the_client_that_has_the_secret() {
    let Some(mut lab) = provider(|text| text) else {
        return;
    };
    lab.start().await;
    let mum = lab
        .signed(
            "/api/firstfactor",
            Authelia::password("mum", "correct horse"),
            "",
        )
        .await
        .expect("signed in");
    let redeemed = async |secret: &str, verifier: &str| {
        let (_, location, _) = asked(&lab, &query("photos", BACK), &mum).await;
        let code = location.split(['=', '&']).nth(1).expect("a code");
        let ask = format!(
            "from openid_client import Client, OpenIdError\n\
             try:\n    print(Client('http://127.0.0.1:{}', 'photos', '{secret}').profile('{code}', 'https://photos.example.org/auth/login', '{verifier}')['email'])\n\
             except OpenIdError as error:\n    print(error.error)",
            lab.port
        );
        said(&python(&["-c", &ask]).output().expect("runs"))
    };
    assert_eq!(redeemed("correct horse", VERIFIER).await, "mum@example.org");
    assert_eq!(redeemed("wrong", VERIFIER).await, "invalid_client");
    assert_eq!(
        redeemed("correct horse", "another").await,
        "invalid_grant",
        "the code of somebody else's browser"
    );
}

#[tokio::test]
async fn clients_that_authelia_would_refuse_are_refused() {
    let cases = [
        ("'HASH'", "plain", "must be a digest"),
        (
            "algorithm: RS256",
            "algorithm: ES256",
            "at least have one key supporting the 'RS256'",
        ),
        (
            "one_factor",
            "bypass",
            "option 'authorization_policy' must be one of",
        ),
        (
            "    hmac_secret: a secret that tokens are made with\n",
            "",
            "hmac_secret' is required",
        ),
        ("consent_mode", "consent", "key not expected"),
        ("private.pem", "public.pem", "must be a valid private key"),
    ];
    for (from, to, told) in cases {
        let Some(lab) = provider(|text| match from {
            "'HASH'" => {
                let (before, rest) = text.split_once("client_secret: '").expect("a client");
                format!(
                    "{before}client_secret: {to}{}",
                    rest.split_once('\'').expect("its end").1
                )
            }
            _ => text.replace(from, to),
        }) else {
            return;
        };
        let output = lab.command(&["validate-config"]).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{to}: {text}");
        assert!(text.contains(told), "{to}: {text}");
    }
}
