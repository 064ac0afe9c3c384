//! The login of people: form, cookie, logout, tickets.

use proscenium_gateway::sites::SiteConfig;

use super::support::*;

#[tokio::test]
async fn a_right_password_sets_a_cookie_that_scripts_and_other_sites_cannot_use() {
    let Guarded { server, .. } = start();
    let answer = post_form(&server, "ann", "right", "").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/?table=t"), "{answer:?}");
    let cookie = answer.header("set-cookie");
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "a browser would not store it without TLS");
    assert_eq!(answer.header("cache-control"), "no-store");
    let session = ask(&server, "GET", "/api/v1/session", &answer.cookie(), "").await;
    assert_eq!(session.json()["name"], "ann");
    assert!(session.json()["expires_seconds"].as_u64() > Some(43_000), "{session:?}");

    let own = "Host: desk.test\r\nOrigin: https://desk.test\r\n";
    let Guarded { server, .. } = start_with(|config| config.sites.hosts = vec!["desk.test".into()]);
    let behind_a_proxy = post_form(&server, "ann", "right", own).await;
    let cookie = behind_a_proxy.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-proscenium-session=") && cookie.ends_with("; Secure"),
        "{behind_a_proxy:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_shows_the_form_again() {
    let Guarded { server, .. } = start();
    for (name, password) in [("ann", "wrong"), ("nobody", "right"), ("", "")] {
        let answer = post_form(&server, name, password, "").await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.body.contains("The name or the password is wrong."), "{answer:?}");
        assert!(answer.body.contains(&format!("value=\"{name}\"")) && !answer.body.contains("wrong\""));
        assert_eq!(answer.header("set-cookie"), "");
    }
    let policy = ask(&server, "GET", "/login?next=%22%3E%3Cscript%3E", "", "").await;
    assert!(policy.header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(!policy.body.contains("<script"), "{policy:?}");
    let elsewhere = ask(
        &server,
        "POST",
        "/login",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "name=ann&password=right&next=%2F%2Fevil.test",
    );
    assert_eq!(elsewhere.await.header("location"), "/");
}

#[tokio::test]
async fn a_cookie_changes_nothing_for_pages_of_other_sites() {
    let listed = "https://desk.example.com";
    let Guarded { server, key, .. } = start_with(|config| {
        config.sites = SiteConfig { origins: vec![listed.into()], hosts: vec![] };
    });
    let cookie = log_in(&server, "ann", "right").await;
    let put = async |headers: &str| {
        ask(&server, "PUT", "/api/v1/tables/t?format=csv", headers, "x\n1\n").await.status
    };
    let own = format!("{cookie}Origin: http://localhost\r\n");
    assert_eq!(put(&own).await, 201);
    assert_eq!(put(&format!("{cookie}Origin: {listed}\r\n")).await, 200);
    for origin in ["https://evil.test", "null", "http://localhost:1"] {
        assert_eq!(put(&format!("{cookie}Origin: {origin}\r\n")).await, 403, "{origin}");
        let read =
            ask(&server, "GET", "/api/v1/tables/t", &format!("{cookie}Origin: {origin}\r\n"), "").await;
        assert_eq!((read.status, read.header("access-control-allow-origin")), (401, ""), "{origin}");
    }
    // What browsers send with a form of a page that hides its origin.
    assert_eq!(put(&cookie).await, 401);
    assert_eq!(put(&bearer(&key)).await, 200, "a program needs no origin");
    let read = ask(&server, "GET", "/api/v1/tables/t", &format!("{cookie}Origin: {listed}\r\n"), "").await;
    assert_eq!(read.header("access-control-allow-credentials"), "true", "{read:?}");
    assert_eq!(read.header("access-control-allow-origin"), listed);
}

#[tokio::test]
async fn a_star_allows_every_site_but_not_its_visitors_logins() {
    let Guarded { server, key, .. } = start_with(|config| config.sites.origins = vec!["*".into()]);
    let cookie = log_in(&server, "ann", "right").await;
    let origin = "Origin: https://any.test\r\n";
    let read = ask(&server, "GET", "/api/v1/tables", &format!("{cookie}{origin}"), "").await;
    assert_eq!((read.status, read.header("access-control-allow-credentials")), (401, ""), "{read:?}");
    let read = ask(&server, "GET", "/api/v1/tables", &format!("{}{origin}", bearer(&key)), "").await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, "https://any.test"));
    let asked = ask(&server, "OPTIONS", "/api/v1/tables/t", origin, "").await;
    assert!(asked.header("access-control-allow-headers").contains("authorization"), "{asked:?}");
}

#[tokio::test]
async fn a_logout_ends_the_login_and_needs_a_page_of_this_server() {
    let Guarded { server, .. } = start();
    let cookie = log_in(&server, "ann", "right").await;
    let own = format!("{cookie}Origin: http://localhost\r\n");
    let foreign =
        ask(&server, "POST", "/logout", &format!("{cookie}Origin: https://evil.test\r\n"), "").await;
    assert_eq!(foreign.status, 403);
    assert_eq!(ask(&server, "GET", "/logout", &cookie, "").await.status, 405, "a link does not log out");
    assert_eq!(ask(&server, "GET", "/api/v1/session", &cookie, "").await.status, 200);
    let ended = ask(&server, "POST", "/logout", &own, "").await;
    assert_eq!((ended.status, ended.header("location")), (303, "/login"));
    assert!(ended.header("set-cookie").contains("Max-Age=0"), "{ended:?}");
    assert_eq!(ask(&server, "GET", "/api/v1/session", &cookie, "").await.status, 401);
}

#[tokio::test]
async fn a_password_becomes_a_token_for_programs() {
    let Guarded { server, .. } = start();
    let login = ask(&server, "POST", "/api/v1/login", &basic("ann", "right"), "").await;
    let token = login.json()["token"].as_str().expect("a token").to_owned();
    let session = ask(&server, "GET", "/api/v1/session", &bearer(&token), "").await;
    assert_eq!(session.json()["name"], "ann");
    assert_eq!(ask(&server, "POST", "/logout", &bearer(&token), "").await.status, 303);
    let ended = ask(&server, "GET", "/api/v1/session", &bearer(&token), "").await;
    assert_eq!((ended.status, ended.code().as_str()), (401, "invalid_token"));
}
