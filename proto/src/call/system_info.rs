//! `ServerSystemInfo`: returns memory, and processor time since the last such request.

use std::time::Duration;

use proscenium_engine::hosting::{Command, ProcessUsage, ServerCommand};

use crate::ClientResp;
use crate::generated::{ServerSystemInfoReq, ServerSystemInfoResp};

pub(super) fn decode(_: ServerSystemInfoReq) -> Command {
    Command::Server(ServerCommand::GetUsage)
}

pub(super) fn encode(usage: ProcessUsage) -> ClientResp {
    let milliseconds = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    ClientResp::ServerSystemInfoResp(ServerSystemInfoResp {
        heap_size: usage.resident_bytes,
        used_size: usage.own_bytes,
        cpu_time: milliseconds(usage.busy),
        cpu_time_epoch: milliseconds(usage.passed),
    })
}
