use ffu_db::{ConnectionUrl, UrlError};
use proptest::prelude::*;

fn parse(text: &str) -> ConnectionUrl {
    ConnectionUrl::parse(text).unwrap()
}

#[test]
fn parts_of_a_usual_url() {
    let url = parse("mysql+pymysql://nova:p%40s%2Fs@db.example:3307/nova_api?charset=utf8&read_timeout=30");
    assert_eq!((url.user(), url.password().unwrap().expose()), ("nova", "p@s/s"));
    assert_eq!(
        (url.host(), url.port(), url.schema()),
        ("db.example", 3307, Some("nova_api"))
    );
    assert_eq!(
        (url.parameter("charset"), url.parameter("read_timeout")),
        (Some("utf8"), Some("30"))
    );
    assert_eq!(url.address(), "db.example:3307");
    assert_eq!(
        url.without_password(),
        "mysql+pymysql://nova:***@db.example:3307/nova_api?charset=utf8&read_timeout=30"
    );
    assert_eq!(url.with_schema("nova").schema(), Some("nova"));
    assert!(!format!("{url:?} {url}").contains("p@s"));
}

#[test]
fn forms_that_services_have() {
    let socket = parse("mysql://root@localhost/glance?unix_socket=/run/mysqld/mysqld.sock&charset=utf8");
    assert_eq!(socket.address(), "unix:/run/mysqld/mysqld.sock");
    assert_eq!(socket.password(), None);
    let six = parse("mysql+mysqldb://u:p@[::1]:3306/x");
    assert_eq!((six.host(), six.address().as_str()), ("::1", "[::1]:3306"));
    assert_eq!(parse("mysql+pymysql://u:p@h/x").port(), 3306);
    assert_eq!(parse("mysql+pymysql://u:p@h").schema(), None);
    assert_eq!(parse("mysql+pymysql:///x").host(), "localhost");
    assert_eq!(parse("mysql+pymysql://%7Bu%7D:p@h/x").user(), "{u}");
    // SQLAlchemy before 1.4 took the last @, since 1.4 a slash may be in the password.
    assert_eq!(parse("mysql://u:p@w@h/x").password().unwrap().expose(), "p@w");
    assert_eq!(parse("mysql://u:p/w?z@h/x").password().unwrap().expose(), "p/w?z");
    let query = parse("mysql://u:p@h/x?ssl_ca=/etc/a@b.pem");
    assert_eq!((query.host(), query.tls_parameter()), ("h", Some("ssl_ca")));
}

#[test]
fn what_is_refused_and_how() {
    for (text, expected) in [
        ("postgresql+psycopg2://nova:hushhush@h/nova", "not supported"),
        ("sqlite:////var/lib/nova.db", "not supported"),
        ("nova:hushhush@h/nova", "not a URL"),
        ("", "not a URL"),
        ("{scheme}://{username}:{password}@h/nova", "template ({scheme})"),
        ("mysql://u:hushhush@{hostname}/nova", "template ({hostname})"),
        ("mysql://u:hushhush@h:{port}/nova", "template ({port})"),
        ("mysql://u:hushhush@h:99999/x", "port"),
        ("mysql://u:hushhush@[::zz]/x", "IPv6"),
        ("mysql://u:hushhush@h/x?unix_socket=../s", "unix_socket"),
        ("mysql://u:hushhush%00@h/x", "NUL"),
        ("mysql://u:hushhush%ff@h/x", "UTF-8"),
        ("mysql://u:hushhush\n@h/x", "control characters"),
        ("mysql://u:hushhush@h/a/b", "database name"),
    ] {
        let error = ConnectionUrl::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hushhush"), "{error}");
    }
}

#[test]
fn templates_of_cell_mappings_are_filled_from_the_services_own_url() {
    let base = parse("mysql+pymysql://nova:p%40ss@db:3306/nova_cell0?charset=utf8");
    let filled = base
        .fill_template("{scheme}://{username}:{password}@{hostname}:{port}/nova?{query}")
        .unwrap();
    let url = parse(filled.expose());
    assert_eq!((url.host(), url.port(), url.schema()), ("db", 3306, Some("nova")));
    assert_eq!(
        (url.password().unwrap().expose(), url.parameter("charset")),
        ("p@ss", Some("utf8"))
    );
    assert_eq!(base.fill_template("a{{b}}").unwrap().expose(), "a{b}");
    for bad in ["{nonsense}", "{username", "a}b", "{é}"] {
        assert!(
            matches!(base.fill_template(bad), Err(UrlError::Template { .. })),
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_leaks(text in "\\PC{0,60}", secret in "[a-z]{12}") {
        let _ = ConnectionUrl::parse(&text);
        if let Err(error) = ConnectionUrl::parse(&format!("mysql://u:{secret}{text}@h/x")) {
            prop_assert!(!error.to_string().contains(&secret));
        }
    }

    #[test]
    fn written_urls_read_back(
        user in "[^\0\\p{Cc}]{1,12}",
        password in "[^\0\\p{Cc}]{0,16}",
        schema in "[a-z_][a-z0-9_]{0,20}",
        port in 1_u16..,
        value in "[^\0\\p{Cc}]{0,12}",
    ) {
        let encode = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let text = format!("mysql+pymysql://{}:{}@h:{port}/{schema}?charset={}", encode(&user), encode(&password), encode(&value));
        let url = ConnectionUrl::parse(&text).unwrap();
        prop_assert_eq!((url.user(), url.password().unwrap().expose()), (user.as_str(), password.as_str()));
        let again = ConnectionUrl::parse(url.to_url().expose()).unwrap();
        prop_assert_eq!(again, url);
    }
}
