// The address of what the page shows, in the URL's fragment.
//
//   #server/market              mode and table
//   #server/market?layout=…     the same with a layout of the viewer, to be shared
//   #status                     the server's status

export const MODES = ["server", "replica", "browser"];

/** `{mode, table, layout, isStatus}` of a fragment; a layout that cannot be read is left out. */
export function readAddress(hash = location.hash) {
    const [path, query = ""] = hash.slice(1).split("?");
    const [first, ...rest] = path.split("/");
    return {
        isStatus: path === "status",
        mode: MODES.includes(first) ? first : "server",
        table: decode(rest.join("/")) || undefined,
        layout: decodeLayout(new URLSearchParams(query).get("layout")),
    };
}

export function addressOf({ mode, table, layout }) {
    const path = table === undefined ? `#${mode}` : `#${mode}/${encodeURIComponent(table)}`;
    return layout ? `${path}?layout=${encodeLayout(layout)}` : path;
}

function decode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

function encodeLayout(layout) {
    const bytes = new TextEncoder().encode(JSON.stringify(layout));
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function decodeLayout(text) {
    if (!text) {
        return undefined;
    }
    try {
        const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
        const layout = JSON.parse(new TextDecoder().decode(bytes));
        return typeof layout === "object" && layout !== null && !Array.isArray(layout) ? layout : undefined;
    } catch {
        return undefined;
    }
}
