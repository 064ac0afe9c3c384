// Who uses the page, where the server requires a login: the name and the logout; back to the login when it has ended.

import { byId, setText } from "./dom.js";
import { HTTP, LINK, readSession } from "./server.js";

/** Shows the name, if the server knows one; the visitor of a sealed link has none. */
export async function showUser() {
    const session = await readSession().catch(() => undefined);
    if (!session?.name || LINK) {
        return;
    }
    setText(byId("user-name"), session.name);
    byId("user-name").title = session.roles.length > 0 ? `Roles: ${session.roles.join(", ")}` : "No roles";
    byId("logout").hidden = !session.can_log_out;
    byId("user").hidden = false;
    byId("logout").addEventListener("click", logOut);
}

async function logOut() {
    await fetch(`${HTTP}/logout`, { method: "POST", redirect: "manual" });
    goToLogin();
}

let isLeaving = false;

/** Leaves for the login, which returns to what is shown now. */
export function goToLogin() {
    if (isLeaving) {
        return;
    }
    isLeaving = true;
    const here = location.pathname + location.search + location.hash;
    location.assign(`${HTTP}/login?next=${encodeURIComponent(here)}`);
}

/** Leaves for the login if it has ended, as the server says when it refuses a connection. */
export async function checkLogin() {
    const answer = await fetch(`${HTTP}/api/v1/session`, { cache: "no-store" }).catch(() => undefined);
    if (answer?.status === 401) {
        goToLogin();
    }
}
