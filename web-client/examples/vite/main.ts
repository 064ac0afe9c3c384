// The table `market` of the server at ?server=ws://…/websocket, as a replica in this tab; without a server, a table of
// this tab alone.

import perspective from "@perspective-dev/client";
import perspectiveViewer from "@perspective-dev/viewer";
import type { HTMLPerspectiveViewerElement } from "@perspective-dev/viewer";
import "@perspective-dev/viewer-datagrid";
import "@perspective-dev/viewer/dist/css/themes.css";
import viewerWasm from "@perspective-dev/viewer/dist/wasm/perspective-viewer.wasm?url";
import { openEngine, Replica } from "proscenium-web-client";

const status = document.getElementById("status")!;
const viewer = document.getElementById("viewer") as HTMLPerspectiveViewerElement;

async function start(): Promise<string> {
    await perspectiveViewer.init_client(fetch(viewerWasm));
    const local = await openEngine(perspective);
    const url = new URL(location.href).searchParams.get("server");
    let name = "trades";
    if (url) {
        const server = await perspective.websocket(url);
        const replica = await Replica.open({ server, local, table: "market" });
        name = replica.name;
    } else {
        await local.table("symbol,price\na,1.5\nb,2.5\n", { name });
    }
    await viewer.load(local);
    await viewer.restore({ table: name });
    const table = await local.open_table(name);
    return `${name}: ${await table.size()} rows`;
}

status.textContent = await start().catch((error: unknown) => `failed: ${error}`);
