// The envelope of the protocol's messages, as far as a connection that resumes must look into them.
//
// A request or a response is a protobuf message: 1: msg_id, 2: entity_id, and one field whose number says the kind; see
// proto/protos/. Nothing else is decoded, and no content is copied to be read.

/** The kinds of requests, and of their responses, that change what a session has. */
export const KIND = {
    GET_HOSTED_TABLES: 4,
    TABLE_MAKE_PORT: 5,
    TABLE_MAKE_VIEW: 6,
    VIEW_DELETE: 11,
    VIEW_TO_ARROW: 16,
    VIEW_COLLAPSE: 18,
    VIEW_EXPAND: 19,
    VIEW_ON_UPDATE: 21,
    VIEW_REMOVE_ON_UPDATE: 22,
    VIEW_SET_DEPTH: 23,
    MAKE_TABLE: 27,
    TABLE_DELETE: 28,
    TABLE_ON_DELETE: 29,
    TABLE_REMOVE_DELETE: 30,
    TABLE_REMOVE: 31,
    TABLE_REPLACE: 32,
    TABLE_UPDATE: 33,
    VIEW_ON_DELETE: 34,
    VIEW_REMOVE_DELETE: 35,
    REMOVE_HOSTED_TABLES_UPDATE: 37,
    MAKE_JOIN_TABLE: 38,
    VIEW_ON_REMOVE: 39,
    VIEW_REMOVE_ON_REMOVE: 40,
    ERROR: 50,
};

const VARINT = 0;
const BYTES = 2;
const utf8 = new TextDecoder();
const toUtf8 = new TextEncoder();

/** The fields of a message: [number, value], a number or a part of `bytes`. Others than these two types are skipped. */
export function* fields(bytes) {
    let at = 0;
    const varint = () => {
        let value = 0;
        for (let factor = 1; at < bytes.length; factor *= 128) {
            const byte = bytes[at++];
            value += (byte & 127) * factor;
            if (byte < 128) {
                return value;
            }
        }
        throw new Error("a message ends within a number");
    };
    while (at < bytes.length) {
        const key = varint();
        const [number, type] = [Math.floor(key / 8), key % 8];
        if (type === VARINT) {
            yield [number, varint()];
        } else if (type === BYTES) {
            const length = varint();
            yield [number, bytes.subarray(at, at + length)];
            at += length;
        } else {
            at += type === 1 ? 8 : 4;
        }
    }
}

/** The number in a field; 0 if it is absent. */
export function numberIn(bytes, wanted) {
    let found = 0;
    for (const [number, value] of fields(bytes)) {
        if (number === wanted) {
            found = value;
        }
    }
    return found;
}

/** The bytes in a field; undefined if it is absent. */
export function bytesIn(bytes, wanted) {
    let found;
    for (const [number, value] of fields(bytes)) {
        if (number === wanted && typeof value !== "number") {
            found = value;
        }
    }
    return found;
}

/** The text in a field; empty if it is absent. */
export function textIn(bytes, wanted) {
    return utf8.decode(bytesIn(bytes, wanted) ?? new Uint8Array());
}

/** Takes a message apart: {id, entity, kind, body}; kind 0 if it has no content. */
export function open(bytes) {
    const message = { id: 0, entity: "", kind: 0, body: new Uint8Array() };
    for (const [number, value] of fields(bytes)) {
        if (number === 1) {
            message.id = value;
        } else if (number === 2) {
            message.entity = utf8.decode(value);
        } else if (typeof value !== "number") {
            [message.kind, message.body] = [number, value];
        }
    }
    return message;
}

/** Puts a message together; a kind of 0 has no content. */
export function close({ id, entity = "", kind = 0, body = new Uint8Array() }) {
    const parts = [numberField(1, id), bytesField(2, toUtf8.encode(entity))];
    if (kind > 0) {
        parts.push(bytesField(kind, body));
    }
    return join(parts);
}

/** A field with a number. */
export function numberField(number, value) {
    return Uint8Array.from([...varint(number * 8 + VARINT), ...varint(value)]);
}

/** A field with bytes. */
export function bytesField(number, bytes) {
    return join([Uint8Array.from([...varint(number * 8 + BYTES), ...varint(bytes.length)]), bytes]);
}

/** The bytes of a text. */
export function textField(number, text) {
    return bytesField(number, toUtf8.encode(text));
}

export function join(parts) {
    const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of parts) {
        joined.set(part, at);
        at += part.length;
    }
    return joined;
}

function varint(value) {
    const bytes = [];
    for (; value >= 128; value = Math.floor(value / 128)) {
        bytes.push((value % 128) + 128);
    }
    bytes.push(value);
    return bytes;
}
