/**
 * Requests as browsers send them for pages of other origins: each way in which a page can make its browser send a
 * request, from each kind of page. The headers are those of Chromium. A browser that omits `Sec-Fetch-*` still names
 * the origin of every request that could write. `{port}` stands for the server's own port.
 */

export interface Attack {
  readonly title: string
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** A page, as its requests show it. */
interface Page {
  readonly title: string
  /** The host that the request names; undefined if the browser treats the server's address as another origin. */
  readonly host?: string
  readonly origin: string
  readonly site: "cross-site" | "same-site" | "same-origin"
}

const pages: ReadonlyArray<Page> = [
  { title: "a page of the public web", origin: "https://evil.test", site: "cross-site" },
  { title: "a page on another port of another name", origin: "http://evil.test:{port}", site: "cross-site" },
  { title: "a page in a sandbox or a file", origin: "null", site: "cross-site" },
  { title: "a page whose name begins as ours", origin: "http://localhost.evil.test", site: "cross-site" },
  { title: "a page below our name", origin: "http://evil.localhost:{port}", site: "same-site" },
  { title: "a page of an extension", origin: "chrome-extension://aaaabbbbccccdddd", site: "cross-site" },
  {
    title: "a page by rebinding",
    host: "evil.test:{port}",
    origin: "http://evil.test:{port}",
    site: "same-origin"
  }
]

/** A way to make a browser send a request. */
interface Way {
  readonly title: string
  readonly method: string
  readonly target: string
  readonly mode: "cors" | "no-cors" | "navigate" | "websocket"
  readonly destination: string
  /** Whether the request names the origin even if it is the server's own. */
  readonly namesOrigin: boolean
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const plain = { "Content-Type": "text/plain;charset=UTF-8" }
const json = { "Content-Type": "application/json" }
const event = `{"data":"evil"}`
const read = "/streams/secret/events"

const ways: ReadonlyArray<Way> = [
  { title: "fetch", method: "GET", target: read, mode: "cors", destination: "empty", namesOrigin: true },
  {
    title: "fetch without cors",
    method: "GET",
    target: read,
    mode: "no-cors",
    destination: "empty",
    namesOrigin: false
  },
  {
    title: "fetch of the list",
    method: "GET",
    target: "/streams",
    mode: "cors",
    destination: "empty",
    namesOrigin: true
  },
  {
    title: "fetch of the protocol",
    method: "GET",
    target: "/v1/stream/secret?offset=-1",
    mode: "cors",
    destination: "empty",
    namesOrigin: true
  },
  {
    title: "fetch that posts text",
    method: "POST",
    target: "/streams/secret",
    mode: "no-cors",
    destination: "empty",
    namesOrigin: true,
    headers: plain,
    body: event
  },
  {
    title: "fetch that posts JSON as if it had been allowed",
    method: "POST",
    target: "/streams/secret",
    mode: "cors",
    destination: "empty",
    namesOrigin: true,
    headers: json,
    body: event
  },
  {
    title: "fetch that posts to the protocol",
    method: "POST",
    target: "/v1/stream/secret",
    mode: "no-cors",
    destination: "empty",
    namesOrigin: true,
    headers: plain,
    body: `"evil"`
  },
  {
    title: "fetch that makes a stream",
    method: "PUT",
    target: "/v1/stream/planted",
    mode: "cors",
    destination: "empty",
    namesOrigin: true,
    headers: plain,
    body: "evil"
  },
  {
    title: "fetch that deletes",
    method: "DELETE",
    target: "/streams/secret",
    mode: "cors",
    destination: "empty",
    namesOrigin: true
  },
  {
    title: "fetch that subscribes",
    method: "PUT",
    target: "/v1/stream/__ds/subscriptions/evil",
    mode: "cors",
    destination: "empty",
    namesOrigin: true,
    headers: json,
    body: `{"type":"webhook","pattern":"**","webhook":{"url":"http://127.0.0.1:9/"}}`
  },
  {
    title: "a form of text",
    method: "POST",
    target: "/streams/secret",
    mode: "navigate",
    destination: "document",
    namesOrigin: true,
    headers: { "Content-Type": "text/plain" },
    body: `{"data":"evil","x":"="}\r\n`
  },
  {
    title: "a form",
    method: "POST",
    target: "/streams/secret",
    mode: "navigate",
    destination: "document",
    namesOrigin: true,
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: "data=evil"
  },
  {
    title: "a form of parts",
    method: "POST",
    target: "/v1/stream/secret",
    mode: "navigate",
    destination: "iframe",
    namesOrigin: true,
    headers: { "Content-Type": "multipart/form-data; boundary=x" },
    body: "--x\r\n\r\nevil\r\n--x--\r\n"
  },
  {
    title: "a beacon",
    method: "POST",
    target: "/streams/secret",
    mode: "no-cors",
    destination: "empty",
    namesOrigin: true,
    headers: plain,
    body: event
  },
  {
    title: "a ping of a link",
    method: "POST",
    target: "/streams/secret",
    mode: "no-cors",
    destination: "empty",
    namesOrigin: true,
    headers: { "Content-Type": "text/ping" },
    body: "PING"
  },
  ...["image", "style", "video", "object", "track"].map((destination): Way => ({
    title: `an element for ${destination}`,
    method: "GET",
    target: read,
    mode: "no-cors",
    destination,
    namesOrigin: false
  })),
  { title: "a script", method: "GET", target: read, mode: "no-cors", destination: "script", namesOrigin: false },
  { title: "a module", method: "GET", target: read, mode: "cors", destination: "script", namesOrigin: true },
  { title: "a font", method: "GET", target: read, mode: "cors", destination: "font", namesOrigin: true },
  { title: "a frame", method: "GET", target: read, mode: "navigate", destination: "iframe", namesOrigin: false },
  { title: "a link", method: "GET", target: "/docs", mode: "navigate", destination: "document", namesOrigin: false },
  {
    title: "an EventSource",
    method: "GET",
    target: "/streams/secret?offset=-1",
    mode: "cors",
    destination: "empty",
    namesOrigin: true,
    headers: { Accept: "text/event-stream" }
  },
  {
    title: "a WebSocket",
    method: "GET",
    target: "/streams/secret?offset=-1",
    mode: "websocket",
    destination: "empty",
    namesOrigin: true,
    headers: {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="
    }
  }
]

export const attacks: ReadonlyArray<Attack> = pages.flatMap((page) =>
  ways.map(({ body, destination, headers, method, mode, namesOrigin, target, title }) => ({
    title: `${title}, from ${page.title}`,
    method,
    target,
    headers: {
      Host: page.host ?? "localhost:{port}",
      // A browser always names the origin of a request that may write. For a read, it names only a foreign origin.
      ...(method !== "GET" || (namesOrigin && page.site !== "same-origin") ? { Origin: page.origin } : {}),
      "Sec-Fetch-Site": page.site,
      "Sec-Fetch-Mode": mode,
      "Sec-Fetch-Dest": destination,
      ...headers
    },
    ...(body === undefined ? {} : { body })
  }))
)
