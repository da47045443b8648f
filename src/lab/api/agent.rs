//! The guest agent's endpoints: Proxmox's calls as qemu-ga commands.

use super::{
    call::{Answer, Call, Outcome, Refusal},
    world::World,
};
use crate::model::ids::Vmid;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// What is asked of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A command without arguments whose answer is passed on.
    Plain(&'static str),
    Exec,
    ExecStatus,
    FileRead,
    FileWrite,
}

/// Seconds after which an agent that says nothing counts as absent.
const PATIENCE: f64 = 3.0;

/// Largest file that `file-read` gives: 16 MiB.
const READ_LIMIT: u64 = 16 << 20;

/// Asks the agent of the call's guest.
pub(crate) async fn ask(world: &World, call: &Call, verb: Verb) -> Answer {
    let number = call.vmid();
    let (has_agent, is_on) = world.look(|model| {
        let guest = model.guest(number)?;
        let agent = guest.value("agent").unwrap_or_default();
        Ok::<_, String>((
            agent.starts_with('1') || agent.contains("enabled=1"),
            guest.running.is_some(),
        ))
    })?;
    if !is_on {
        return Err(Refusal::Failed(format!("VM {number} is not running")));
    }
    if !has_agent {
        return Err(Refusal::Failed("No QEMU guest agent configured".to_owned()));
    }
    let vmid = Vmid::new(number).map_err(|why| why.to_string())?;
    let line = Line { world, vmid };
    let data = match verb {
        Verb::Plain(command) => json!({"result": line.ask(command, Value::Null).await?}),
        Verb::Exec => line.exec(call).await?,
        Verb::ExecStatus => line.exec_status(call).await?,
        Verb::FileRead => line.file_read(call).await?,
        Verb::FileWrite => line.file_write(call).await?,
    };
    Outcome::data(data)
}

struct Line<'w> {
    world: &'w World,
    vmid: Vmid,
}

impl Line<'_> {
    async fn ask(&self, command: &str, arguments: Value) -> Result<Value, Refusal> {
        let mut request = json!({"execute": command});
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        let answer = self.world.backend().agent(self.vmid, request).await?;
        let Some(mut answer) = answer else {
            self.world.clock().sleep(PATIENCE).await;
            return Err(Refusal::Failed(
                "QEMU guest agent is not running".to_owned(),
            ));
        };
        if let Some(error) = answer.get("error") {
            let text = error["desc"].as_str().unwrap_or("unknown error");
            return Err(Refusal::Failed(format!("Agent error: {text}")));
        }
        Ok(answer["return"].take())
    }

    async fn exec(&self, call: &Call) -> Result<Value, Refusal> {
        let command = call.list("command");
        let Some((program, rest)) = command.split_first() else {
            return Err(Refusal::parameter(
                "command",
                "property is missing and it is not optional",
            ));
        };
        let mut arguments = json!({"path": program, "arg": rest, "capture-output": true});
        if let Some(input) = call.get("input-data") {
            arguments["input-data"] = json!(STANDARD.encode(input));
        }
        let answer = self.ask("guest-exec", arguments).await?;
        Ok(json!({"pid": answer["pid"]}))
    }

    async fn exec_status(&self, call: &Call) -> Result<Value, Refusal> {
        let pid: i64 = call.number("pid").unwrap_or(0);
        let answer = self.ask("guest-exec-status", json!({"pid": pid})).await?;
        let mut data = json!({"exited": i32::from(answer["exited"] == json!(true))});
        for name in ["exitcode", "signal"] {
            if let Some(value) = answer.get(name) {
                data[name] = value.clone();
            }
        }
        for name in ["out-data", "err-data"] {
            if let Some(text) = answer.get(name).and_then(Value::as_str) {
                data[name] = json!(decoded(text));
            }
        }
        for name in ["out-truncated", "err-truncated"] {
            if let Some(cut) = answer.get(name).and_then(Value::as_bool) {
                data[name] = json!(i32::from(cut));
            }
        }
        Ok(data)
    }

    async fn file_read(&self, call: &Call) -> Result<Value, Refusal> {
        let open = json!({"path": call.text("file"), "mode": "r"});
        let file = self.ask("guest-file-open", open).await?;
        let mut content = String::new();
        let mut bytes = 0;
        let mut is_cut = false;
        loop {
            let chunk = self
                .ask("guest-file-read", json!({"handle": file, "count": 1 << 20}))
                .await?;
            content.push_str(&decoded(chunk["buf-b64"].as_str().unwrap_or_default()));
            bytes += chunk["count"].as_u64().unwrap_or(0);
            if chunk["eof"] == json!(true) || chunk["count"].as_u64().unwrap_or(0) == 0 {
                break;
            }
            if bytes >= READ_LIMIT {
                is_cut = true;
                break;
            }
        }
        self.ask("guest-file-close", json!({"handle": file}))
            .await?;
        let mut data = json!({"content": content, "bytes-read": bytes});
        if is_cut {
            data["truncated"] = json!(1);
        }
        Ok(data)
    }

    async fn file_write(&self, call: &Call) -> Result<Value, Refusal> {
        let content = call.text("content");
        let encoded = if call.get("encode") == Some("0") {
            content.to_owned()
        } else {
            STANDARD.encode(content)
        };
        let file = self
            .ask(
                "guest-file-open",
                json!({"path": call.text("file"), "mode": "wb"}),
            )
            .await?;
        self.ask(
            "guest-file-write",
            json!({"handle": file, "buf-b64": encoded}),
        )
        .await?;
        self.ask("guest-file-close", json!({"handle": file}))
            .await?;
        Ok(Value::Null)
    }
}

fn decoded(text: &str) -> String {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
