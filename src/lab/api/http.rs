//! From an HTTP request to a call and back, with the order of checks of the real server.

use super::{
    agent,
    call::{Answer, Call, Outcome, Refusal},
    credentials::{authenticate, header, is_token},
    fault::Effect,
    form,
    model::{access::Who, change::Dice, cluster::Model},
    permission::permit,
    reply::{bare, faulty, refused, succeeded},
    table::{
        self, check,
        endpoint::{Act, Endpoint, Method, PATH},
    },
    upload,
    uuid::uuid,
    world::{Fate, World},
};
use axum::body::{Body, to_bytes};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Largest body of a form: 512 KiB.
const LARGEST: usize = 512 << 10;

/// Seconds before a 401, so that nobody guesses passwords quickly.
const UNAUTHORIZED_DELAY: f64 = 3.0;

/// Seconds of name resolution before an unknown node fails.
const LOOKUP: f64 = 10.0;

/// The connection closes without an answer: a fault.
#[derive(Debug, thiserror::Error)]
#[error("the connection was dropped by a fault")]
pub(crate) struct Dropped;

/// Answers one request.
///
/// # Errors
/// [`Dropped`] if a fault says so.
pub(crate) async fn answer(
    world: World,
    request: Request<Incoming>,
) -> Result<Response<Body>, Dropped> {
    let method = request.method().as_str().to_owned();
    let raw = request.uri().path().to_owned();
    let path = raw
        .strip_prefix("/api2/json")
        .map(form::unescape_path)
        .unwrap_or_default();
    world.count_request();
    let effects = world.faults().meet(&method, &path);
    let mut plan = Plan::default();
    for effect in effects {
        match effect {
            Effect::Delay { seconds } => world.clock().sleep(seconds).await,
            Effect::DropBefore => return Err(Dropped),
            Effect::DropAfter => plan.drop = true,
            Effect::Status { code, text } => return Ok(faulty(code, &text)),
            Effect::ExpiredTicket => {
                world.clock().sleep(UNAUTHORIZED_DELAY).await;
                return Ok(bare(
                    401,
                    "permission denied - invalid PVE ticket",
                    String::new(),
                ));
            }
            Effect::StatusAfter { code, text } => plan.instead = Some((code, text)),
            Effect::StaleDigest => plan.is_stale = true,
            Effect::FailTask { text } => plan.fate = Fate::Fails(text),
            Effect::StuckTask => plan.fate = Fate::Stuck,
            Effect::CutAnswer => plan.cut = true,
            Effect::HoldLock { seconds } => plan.hold = Some(seconds),
        }
    }
    // Carried out on its own task: a client that goes away does not stop what it asked for.
    let (will_drop, will_cut, instead) = (plan.drop, plan.cut, plan.instead.take());
    let carried = tokio::spawn(carry_out(world, request, method, raw, path, plan));
    let response = carried
        .await
        .unwrap_or_else(|_| bare(500, "internal error of the lab", String::new()));
    if let Some((code, text)) = instead {
        Ok(faulty(code, &text))
    } else if will_drop {
        Err(Dropped)
    } else if will_cut {
        Ok(cut(response).await)
    } else {
        Ok(response)
    }
}

/// Half of an answer that announces its whole length; the connection breaks after it.
async fn cut(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.insert(CONTENT_LENGTH, bytes.len().into());
    let half = bytes.slice(..bytes.len() / 2);
    let parts = futures_util::stream::iter([Ok(half), Err(Dropped)]);
    Response::from_parts(head, Body::from_stream(parts))
}

#[derive(Debug, Default)]
struct Plan {
    drop: bool,
    is_stale: bool,
    cut: bool,
    instead: Option<(u16, String)>,
    fate: Fate,
    hold: Option<f64>,
}

async fn carry_out(
    world: World,
    request: Request<Incoming>,
    method: String,
    raw: String,
    path: String,
    plan: Plan,
) -> Response<Body> {
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return bare(
            501,
            "chunked transfer encoding not supported",
            String::new(),
        );
    }
    let Some(method) = Method::parse(&method) else {
        return bare(
            501,
            &format!("method '{method}' not available"),
            String::new(),
        );
    };
    let length = header(&request, CONTENT_LENGTH.as_str())
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(0);
    if length > 0 && matches!(method, Method::Get | Method::Delete) {
        let text = format!("Unexpected content for method '{}'", method.as_str());
        return bare(501, &text, text.clone());
    }
    if path.is_empty() {
        let text = format!("Method '{} {raw}' not implemented", method.as_str());
        return refused(&Refusal::NotImplemented(text));
    }
    let who = match authenticate(&world, &request, method, &path) {
        Ok(who) => who,
        Err(reason) => {
            world.clock().sleep(UNAUTHORIZED_DELAY).await;
            return bare(401, &reason, String::new());
        }
    };
    let Some((endpoint, captures)) = table::find(method, &path) else {
        let text = format!("Method '{} {path}' not implemented", method.as_str());
        return refused(&Refusal::NotImplemented(text));
    };
    world.count_endpoint(format!("{} {}", method.as_str(), endpoint.path));
    if let Some(node) = captures.get("node")
        && world.look(|model| model.nodes.get(node).is_some_and(|node| node.is_off))
    {
        return bare(595, "No route to host", String::new());
    }
    if endpoint.is_ticket_only && (who.token.is_some() || is_token(&request)) {
        let text = format!("URI '{path}' not available with API token, need proper ticket.");
        return refused(&Refusal::Denied(text));
    }
    let kind = header(&request, CONTENT_TYPE.as_str())
        .unwrap_or_default()
        .to_owned();
    let mut sent = form::decode(request.uri().query().unwrap_or_default());
    let desk = Desk {
        world: &world,
        endpoint,
        who,
    };
    if matches!(endpoint.act, Act::Upload) {
        if !kind.starts_with("multipart/form-data") {
            return refused(&Refusal::parameter(
                "filename",
                "property is missing and it is not optional",
            ));
        }
        let call = match desk.call(&captures, &BTreeMap::new(), false) {
            Ok(call) => call,
            Err(refusal) => return refused(&refusal),
        };
        return match upload::receive(&world, &call, request.map(Body::new)).await {
            Ok(job) => succeeded(
                Outcome::default(),
                Some(world.launch(job, &call.who, plan.fate)),
            ),
            Err(refusal) => refused(&refusal),
        };
    }
    if kind.starts_with("multipart/") {
        return bare(
            506,
            &format!("upload 'Content-Type' '{kind}' not implemented"),
            String::new(),
        );
    }
    if length > LARGEST {
        return bare(501, "for data too large", String::new());
    }
    let body = match to_bytes(Body::new(request.into_body()), LARGEST).await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => return bare(400, "bad request", String::new()),
    };
    let decoded = if kind.starts_with("application/json") {
        form::decode_json(&body)
    } else {
        Ok(form::decode(&body))
    };
    let mut given = match decoded {
        Ok(given) => given,
        Err(text) => return bare(500, text.lines().next().unwrap_or_default(), text.clone()),
    };
    // A parameter of the query wins over the same one in the body.
    given.append(&mut sent);
    desk.answer(&captures, &given, plan).await
}

/// A request on its way to its endpoint.
struct Desk<'w> {
    world: &'w World,
    endpoint: &'static Endpoint,
    who: Who,
}

impl Desk<'_> {
    /// Permission first, then the node, then the parameters: the order of the real server.
    fn call(
        &self,
        captures: &BTreeMap<String, String>,
        sent: &BTreeMap<String, Value>,
        is_checked: bool,
    ) -> Result<Call, Refusal> {
        let mut all: BTreeMap<String, Value> = captures
            .iter()
            .map(|(name, text)| (name.clone(), json!(text)))
            .collect();
        for (name, value) in sent {
            if let Some(of_path) = captures.get(name)
                && value.as_str().is_some_and(|value| value != of_path)
            {
                let text = "duplicate parameter (already defined in URI) with conflicting values!";
                return Err(Refusal::parameter(name, text));
            }
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let text = |name: &str| all.get(name).and_then(Value::as_str).map(str::to_owned);
        let world = self.world;
        world.look(|model| permit(model, &self.who, &self.endpoint.check, &text))?;
        if let Some(node) = captures.get("node")
            && !world.look(|model| model.nodes.contains_key(node))
        {
            let why = "failed to get address info for";
            let text = format!(
                "hostname lookup '{node}' failed - {why}: {node}: Temporary failure in name resolution"
            );
            return Err(Refusal::Failed(text));
        }
        if let (Some(node), Some(vmid)) = (captures.get("node"), captures.get("vmid"))
            && !self.endpoint.path.contains("/firewall")
        {
            // The configuration lies in the folder of the node that has the guest; its firewall file is the cluster's.
            let elsewhere = |model: &Model| {
                let guest = model.guests.get(&vmid.parse().ok()?)?;
                (guest.node != *node).then_some(())
            };
            if world.look(elsewhere).is_some() {
                let text = format!(
                    "Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist"
                );
                return Err(Refusal::Failed(text));
            }
        }
        let given = if is_checked {
            let path: Vec<_> = PATH
                .iter()
                .filter(|param| {
                    let own = crate::lab::api::table::param::find(self.endpoint.params, param.name);
                    captures.contains_key(param.name) && own.is_none()
                })
                .copied()
                .collect();
            check_all(self.endpoint, &path, &all)?
        } else {
            captures
                .iter()
                .map(|(name, text)| (name.clone(), vec![text.clone()]))
                .collect()
        };
        Ok(Call {
            who: self.who.clone(),
            given,
            now: world.clock().unix(),
            scale: world.clock().scale(),
            dice: dice(),
            fingerprint: world.fingerprint(),
            backend: Arc::clone(world.backend()),
        })
    }

    async fn answer(
        &self,
        captures: &BTreeMap<String, String>,
        sent: &BTreeMap<String, Value>,
        plan: Plan,
    ) -> Response<Body> {
        let mut call = match self.call(captures, sent, true) {
            Ok(call) => call,
            Err(refusal) => {
                if matches!(&refusal, Refusal::Failed(text) if text.starts_with("hostname lookup"))
                {
                    self.world.clock().sleep(LOOKUP).await;
                }
                return refused(&refusal);
            }
        };
        if plan.is_stale && call.given.contains_key("digest") {
            call.given.insert("digest".to_owned(), vec!["0".repeat(40)]);
        }
        let answer = self.act(&call).await;
        if let Some(seconds) = plan.hold {
            self.world.hold_for(call.vmid(), seconds);
        }
        match answer {
            Ok(mut outcome) => {
                if outcome.enforce {
                    self.world.enforce().await;
                }
                let upid = outcome
                    .job
                    .take()
                    .map(|job| self.world.launch(job, &call.who, plan.fate));
                succeeded(outcome, upid)
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::Unauthorized(_)) {
                    self.world.clock().sleep(UNAUTHORIZED_DELAY).await;
                }
                refused(&refusal)
            }
        }
    }

    async fn act(&self, call: &Call) -> Answer {
        let world = self.world;
        match self.endpoint.act {
            Act::Read(read) => {
                // Folders with a file for every guest are not read again for questions about other things.
                let path = self.endpoint.path;
                if self.endpoint.method != Method::Get || path.contains("/storage") {
                    world.shelve();
                }
                world.sync();
                world.look(|model| read(model, call))
            }
            Act::Write(write) => {
                let _lock = match self.endpoint.path {
                    path if path.starts_with("/cluster/firewall") => {
                        Some(world.hold_named("cfs:firewall-cluster.fw").await?)
                    }
                    _ => None,
                };
                world.refresh();
                world.change(|model| write(model, call))
            }
            Act::Guest(write) => {
                let _lock = world.hold(call.vmid()).await?;
                world.refresh();
                world.change(|model| write(model, call))
            }
            Act::Agent(verb) => agent::ask(world, call, verb).await,
            Act::Upload => Err(Refusal::NotImplemented(
                "an upload is a multipart form".to_owned(),
            )),
        }
    }
}

fn check_all(
    endpoint: &Endpoint,
    path: &[table::param::Param],
    all: &BTreeMap<String, Value>,
) -> Result<check::Given, Refusal> {
    let is_of_path = |name: &str| path.iter().any(|param| param.name == name);
    let (of_path, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = all
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .partition(|(name, _)| is_of_path(name));
    let mut errors = BTreeMap::new();
    let mut given = check::Given::new();
    for (name, value) in of_path {
        let text = value.as_str().unwrap_or_default().to_owned();
        let param = path.iter().find(|param| param.name == name);
        if let Some(Err(complaint)) = param.map(|param| check::one(&param.kind, &text, &name)) {
            errors.insert(name.clone(), complaint);
        }
        given.insert(name, vec![text]);
    }
    match check::check(endpoint.params, &rest) {
        Ok(more) => given.extend(more),
        Err(more) => errors.extend(more),
    }
    if errors.is_empty() {
        Ok(given)
    } else {
        Err(Refusal::Parameters(errors))
    }
}

fn dice() -> Dice {
    let mac = || {
        let [a, b, c]: [u8; 3] = rand::random();
        format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}")
    };
    Dice {
        macs: (0..32).map(|_| mac()).collect(),
        uuids: [uuid(), uuid()],
    }
}
