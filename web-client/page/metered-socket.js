// Counts what the page's sockets carry, so that a reader can see what each way of working asks of the server.
//
// The published client opens its socket by the global name; it must be put there before the client is loaded.

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
