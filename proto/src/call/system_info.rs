//! `ServerSystemInfo`: returns memory, and processor time since the last such request.

use proscenium_engine::hosting::{Command, ProcessUsage, ServerCommand};

use crate::ClientResp;
use crate::generated::{ServerSystemInfoReq, ServerSystemInfoResp};

pub(super) fn decode(_: ServerSystemInfoReq) -> Command {
    Command::Server(ServerCommand::GetUsage)
}

pub(super) fn encode(usage: ProcessUsage) -> ClientResp {
    let clamped = |milliseconds: u64| u32::try_from(milliseconds).unwrap_or(u32::MAX);
    ClientResp::ServerSystemInfoResp(ServerSystemInfoResp {
        heap_size: usage.resident_bytes,
        used_size: usage.own_bytes,
        cpu_time: clamped(usage.busy_ms),
        cpu_time_epoch: clamped(usage.passed_ms),
    })
}
