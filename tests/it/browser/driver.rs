//! The little of `WebDriver` that the stories need: <https://www.w3.org/TR/webdriver2/>.
//!
//! Nothing here waits by itself: every search for an element is the driver's own implicit wait, so that a story says
//! what shall appear, and the page may take its time.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long something may take to appear, and a page to load, on a machine that also runs every other test.
const PATIENCE_MS: u64 = 60_000;
/// The key under which an element's id comes, fixed by the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Names of the browser on the systems that we know.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const DRIVER: &str = "chromedriver";
const ARGUMENTS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-extensions",
    "--window-size=1200,900",
];

fn found(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .find_map(|name| places.iter().map(|place| place.join(name)).find(|candidate| candidate.is_file()))
}

/// Past the test harness, which would keep what a passed test says to itself.
fn tell(words: &str) {
    std::io::stderr().write_all(format!("{words}\n").as_bytes()).unwrap();
}

/// A window of a headless Chromium.
pub(super) struct Browser {
    client: reqwest::Client,
    session: String,
    _driver: Child,
    _profile: TempDir,
}

/// Tells a story in a fresh browser. Without one the story is skipped, and says so; where `CI=true` it fails.
pub(super) async fn in_browser(name: &str, story: impl AsyncFnOnce(&Browser)) {
    let (Some(browser), Some(driver)) = (found(&BROWSERS), found(&[DRIVER])) else {
        let missing = "no chromium and chromedriver on PATH: `apt-get install chromium chromium-driver`";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        tell(&format!("skipped {name}: {missing}"));
        return;
    };
    let browser = Browser::open(&browser, &driver).await;
    // Whatever becomes of the story, the browser must not outlive it.
    let told = AssertUnwindSafe(story(&browser)).catch_unwind().await;
    if told.is_err() {
        browser.leave_picture(name).await;
    }
    browser.close().await;
    if let Err(panic) = told {
        resume_unwind(panic);
    }
}

impl Browser {
    async fn open(browser: &Path, driver: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the driver runs beside the test, not to an end")]
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let port = port(&mut driver).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": browser, "args": arguments},
            "timeouts": {"implicit": PATIENCE_MS, "pageLoad": PATIENCE_MS, "script": PATIENCE_MS},
        }}});
        let url = format!("http://127.0.0.1:{port}/session");
        let answer: Value = client.post(&url).json(&capabilities).send().await.unwrap().json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer}"));
        Self { client, session: format!("{url}/{id}"), _driver: driver, _profile: profile }
    }

    async fn close(&self) {
        self.client.delete(&self.session).send().await.unwrap();
    }

    /// What a failed story looked at last.
    async fn leave_picture(&self, name: &str) {
        if let Ok(Value::String(picture)) = self.ask("GET", "/screenshot", None).await {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
            std::fs::write(&path, STANDARD.decode(picture).unwrap()).unwrap();
            tell(&format!("what the browser showed: {}", path.display()));
        }
    }

    /// Sends a command; gives the value, or the error's code.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Value> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
        let value = answer["value"].take();
        if value.get("error").is_some() { Err(value) } else { Ok(value) }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, Some(body)).await.unwrap_or_else(|error| panic!("POST {path}: {error:#}"))
    }

    /// Opens a page.
    pub(super) async fn go(&self, url: &str) {
        self.post("/url", json!({"url": url})).await;
    }

    /// Makes the window this wide.
    pub(super) async fn widen(&self, width: u64) {
        self.post("/window/rect", json!({"width": width, "height": 900})).await;
    }

    /// Runs a script in the page.
    pub(super) async fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Does something to the first element of a CSS selector, or of an `XPath` if it begins with `/`, once there is one.
    /// The page replaces its content as it refreshes: an element that is gone in between is looked for again.
    async fn with(&self, selector: &str, method: &str, action: &str, body: Option<Value>) -> Value {
        let using = if selector.starts_with('/') { "xpath" } else { "css selector" };
        loop {
            let element = self.post("/element", json!({"using": using, "value": selector})).await;
            let id = element[ELEMENT].as_str().unwrap();
            match self.ask(method, &format!("/element/{id}/{action}"), body.clone()).await {
                Ok(value) => return value,
                Err(error) if error["error"] == "stale element reference" => {}
                Err(error) => panic!("{action} of {selector}: {error:#}"),
            }
        }
    }

    /// Waits until there is such an element; gives its visible text.
    pub(super) async fn see(&self, selector: &str) -> String {
        self.with(selector, "GET", "text", None).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the element of this id says this, wherever in it.
    pub(super) async fn read(&self, id: &str, words: &str) {
        assert!(!words.contains('"'), "XPath 1 has no escape for quotes");
        self.see(&format!("//*[@id=\"{id}\"][contains(normalize-space(.), \"{words}\")]")).await;
    }

    /// Presses a button, or follows a link.
    pub(super) async fn press(&self, selector: &str) {
        self.with(selector, "POST", "click", Some(json!({}))).await;
    }

    /// Types into a field.
    pub(super) async fn write(&self, selector: &str, text: &str) {
        self.with(selector, "POST", "value", Some(json!({"text": text}))).await;
    }
}

/// The port that the driver says it listens on.
async fn port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("chromedriver ended at once"));
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            // The driver writes nothing more without --verbose, so its closed output harms nobody.
            return port.trim_end_matches('.').parse().unwrap();
        }
    }
}
