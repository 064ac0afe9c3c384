// The status line: what the page's socket has carried, and what a replica has applied.

import { byId, count, setText, size } from "./dom.js";
import { wire } from "./metered-socket.js";
import * as stage from "./stage.js";

export function showWire() {
    const { sent, received, bytesSent, bytesReceived } = wire;
    setText(
        byId("status-wire"),
        sent + received === 0
            ? "no traffic"
            : `sent ${count(sent)} (${size(bytesSent)}) · received ${count(received)} (${size(bytesReceived)})`,
    );
    const replica = stage.current()?.replica;
    setText(
        byId("status-table"),
        replica ? `${count(replica.counts.deltas)} deltas applied · ${count(replica.counts.edits)} edits sent` : "",
    );
}
