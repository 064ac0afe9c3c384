// A server's table as a replica in this tab, shown by the published viewer.

import perspective from "@perspective-dev/client";
import perspectiveViewer from "@perspective-dev/viewer";
import type { HTMLPerspectiveViewerElement } from "@perspective-dev/viewer";
import "@perspective-dev/viewer-datagrid";
import "@perspective-dev/viewer/dist/css/themes.css";
import viewerWasm from "@perspective-dev/viewer/dist/wasm/perspective-viewer.wasm?url";
import { openEngine, Replica } from "proscenium-web-client";
import { useEffect, useRef } from "react";

/** One engine for all components of the page. */
const engine = perspectiveViewer.init_client(fetch(viewerWasm)).then(() => openEngine(perspective));

let opened = 0;

interface Props {
    /** The server's WebSocket. */
    server: string;
    table: string;
    onStatus: (status: string) => void;
}

export function ReplicatedTable({ server, table, onStatus }: Props) {
    const place = useRef<HTMLDivElement>(null);
    useEffect(() => {
        // Each run of the effect has a viewer, a connection and a replica of its own, and takes them away again.
        const viewer = document.createElement("perspective-viewer") as HTMLPerspectiveViewerElement;
        viewer.style.position = "absolute";
        viewer.style.inset = "0";
        place.current!.append(viewer);
        let isClosed = false;
        const report = (status: string) => isClosed || onStatus(status);
        const opening = (async () => {
            const local = await engine;
            const client = await perspective.websocket(server);
            opened += 1;
            const replica = await Replica.open({ server: client, local, table, name: `${table} ${opened}` });
            await viewer.load(local);
            await viewer.restore({ table: replica.name });
            report(`${table}: ${await replica.table.size()} rows`);
            return { client, replica };
        })();
        opening.catch((error: unknown) => report(`failed: ${error}`));
        return () => {
            isClosed = true;
            void opening
                .then(async ({ client, replica }) => {
                    await viewer.delete();
                    await replica.close();
                    await client.terminate();
                })
                .catch(() => {})
                .finally(() => viewer.remove());
        };
    }, [server, table, onStatus]);
    return <div ref={place} style={{ position: "relative" }} />;
}
