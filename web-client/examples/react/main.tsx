import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

import { ReplicatedTable } from "./ReplicatedTable";

const server = new URL(location.href).searchParams.get("server") ?? "ws://127.0.0.1:8080/websocket";

function App() {
    const [status, setStatus] = useState("Copying the table…");
    return (
        <>
            <header id="status">{status}</header>
            <ReplicatedTable server={server} table="market" onStatus={setStatus} />
        </>
    );
}

createRoot(document.getElementById("root")!).render(
    <StrictMode>
        <App />
    </StrictMode>,
);
