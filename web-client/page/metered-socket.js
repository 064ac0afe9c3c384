// Counts the traffic of the page's sockets, so that users can see the cost of each mode.
//
// The published client uses the global WebSocket; this module must be loaded before it.

export const wire = { sent: 0, received: 0, bytesSent: 0, bytesReceived: 0 };

const PlainSocket = globalThis.WebSocket;

class MeteredSocket extends PlainSocket {
    constructor(...args) {
        super(...args);
        this.addEventListener("message", ({ data }) => {
            wire.received += 1;
            wire.bytesReceived += data.byteLength ?? data.size ?? data.length ?? 0;
        });
    }

    send(data) {
        wire.sent += 1;
        wire.bytesSent += data.byteLength ?? data.size ?? data.length ?? 0;
        super.send(data);
    }
}

globalThis.WebSocket = MeteredSocket;
