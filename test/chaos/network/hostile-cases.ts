/**
 * Requests of hostile or broken clients, each with its correct answer: refusals of the native API and of HTTP itself,
 * as the tests know them, refusals of the protocol and its subscriptions, and odd but valid requests. `kept` is an
 * existing JSON stream; `bad` is a stream that must never exist.
 */
import { badHttp } from "../../support/bad-http-requests.ts"
import {
  badBodies,
  badMediaTypes,
  badNames,
  badOffsets,
  badParameters,
  badPathNames
} from "../../support/bad-requests.ts"
import { json, request } from "../../support/wire.ts"

export interface HostileCase {
  readonly title: string
  readonly bytes: Uint8Array | string
  /** The status; undefined if any 4xx will do. */
  readonly status: number | undefined
  /** The answer never ends. */
  readonly follows?: boolean
}

const kept = "/v1/stream/kept"
const bad = "/v1/stream/bad"
const subscription = "/v1/stream/__ds/subscriptions/bad"

const counts = [
  "-1",
  "+1",
  "1.5",
  "1e3",
  "01",
  "0x1",
  "abc",
  " ",
  "9007199254740992",
  "9".repeat(1_000),
  "1, 2",
  "Infinity"
]
const times = [
  "",
  "now",
  "tomorrow",
  "2026-01-08",
  "2026-13-45T00:00:00Z",
  "0",
  "2026-01-08T00:00:00",
  "9".repeat(1_000)
]
const types = [
  "json",
  "/",
  "text/",
  "/plain",
  "a/b/c",
  "text plain",
  "text/plain, text/html",
  "text/plain; \u0001",
  "text/\u00e9"
]
const sources = ["kept", "/", "/v1/stream/", "http://localhost/v1/stream/kept", "/streams/kept", "/v1/stream/%ff"]
  .concat(["/v1/stream/%00", "/v1/stream/__ds/subscriptions/a", `/v1/stream/${"a".repeat(513)}`])
const noMessages = [
  "[",
  "{",
  "[1,]",
  "[1 2]",
  "nul",
  "'a'",
  "\ufeff\ufeff1",
  "[[1]",
  `{"a":}`,
  "1\u00a0",
  "\"\u0001\"",
  "[]"
]
const ids = ["%ff", "%00", "a".repeat(600), "%E9"]

const refuse = (title: string, status: number | undefined, bytes: Uint8Array | string): HostileCase => ({
  title,
  bytes,
  status
})

const protocol: ReadonlyArray<HostileCase> = [
  ...badOffsets.filter((offset) => offset !== "").map((offset) =>
    refuse(`offset=${offset} of the protocol`, 400, request("GET", `${kept}?offset=${offset}`))
  ),
  ...["", "yes", "true", "SSE", "long-poll,sse", "%00"].map((live) =>
    refuse(`live=${live}`, 400, request("GET", `${kept}?offset=-1&live=${live}`))
  ),
  refuse("a long-poll without an offset", 400, request("GET", `${kept}?live=long-poll`)),
  ...["limit=0", "tail=-1", "since=yesterday", "offset=1&offset=2", "live=sse&live=sse&offset=-1"].map((query) =>
    refuse(`${query} of the protocol`, 400, request("GET", `${kept}?${query}`))
  ),
  ...counts.flatMap((count) => [
    refuse(`Stream-TTL: ${count}`, 400, request("PUT", bad, { ...json, "Stream-TTL": count })),
    ...["Producer-Epoch", "Producer-Seq"].map((name) => {
      const producer = { "Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": "0", [name]: count }
      return refuse(`${name}: ${count}`, 400, request("POST", kept, { ...json, ...producer }, "1"))
    }),
    refuse(
      `Stream-Fork-Sub-Offset: ${count}`,
      400,
      request("PUT", bad, { ...json, "Stream-Forked-From": kept, "Stream-Fork-Sub-Offset": count })
    )
  ]),
  ...["Producer-Id", "Producer-Epoch", "Producer-Seq"].map((name) =>
    refuse(`${name} alone`, 400, request("POST", kept, { ...json, [name]: "0" }, "1"))
  ),
  ...times.map((time) =>
    refuse(`Stream-Expires-At: ${time}`, 400, request("PUT", bad, { ...json, "Stream-Expires-At": time }))
  ),
  ...types.map((type) => refuse(`Content-Type: ${type}`, 400, request("PUT", bad, { "Content-Type": type }, "1"))),
  ...sources.map((source) =>
    refuse(`Stream-Forked-From: ${source}`, 400, request("PUT", bad, { ...json, "Stream-Forked-From": source }))
  ),
  refuse("a Content-Type of 5 KB", 400, request("PUT", bad, { "Content-Type": `text/plain; x=${"y".repeat(5_000)}` })),
  refuse(
    "a Stream-Expires-At of 5 KB",
    400,
    request("PUT", bad, { ...json, "Stream-Expires-At": `2126-01-08T00:00:00.${"0".repeat(5_000)}Z` })
  ),
  refuse(
    "a Producer-Id of 5 KB",
    400,
    request(
      "POST",
      kept,
      { ...json, "Producer-Id": "p".repeat(5_000), "Producer-Epoch": "0", "Producer-Seq": "0" },
      "1"
    )
  ),
  ...["__ds", "__ds/subscriptions/x"].flatMap((id) => {
    const producer = { ...json, "Producer-Id": id, "Producer-Epoch": "9007199254740991", "Producer-Seq": "0" }
    return [
      refuse(`the producer ${id}`, 400, request("POST", kept, producer, "1")),
      refuse(`the producer ${id} of the native API`, 400, request("POST", "/streams/kept", producer, `{"data":1}`))
    ]
  }),
  refuse("a Stream-Seq of 5 KB", 400, request("POST", kept, { ...json, "Stream-Seq": "9".repeat(5_000) }, "1")),
  refuse("a fork of nothing", 404, request("PUT", bad, { ...json, "Stream-Forked-From": "/v1/stream/nothing" })),
  refuse("a place to fork, and no source", 400, request("PUT", bad, { ...json, "Stream-Fork-Offset": "0" })),
  ...noMessages.map((text) => refuse(`${text} as messages`, 400, request("POST", kept, json, text))),
  refuse("another media type than the stream's", 409, request("POST", kept, { "Content-Type": "text/plain" }, "1")),
  refuse("a gzip body for the protocol", 415, request("PUT", bad, { ...json, "Content-Encoding": "gzip" }, "1")),
  refuse("an append to nothing", 404, request("POST", bad, json, "1")),
  ...badPathNames.flatMap(([title, segment]) => [
    refuse(`${title}, made by the protocol`, 400, request("PUT", `/v1/stream/${segment}`, json)),
    refuse(`${title}, read by the protocol`, 400, request("GET", `/v1/stream/${segment}?offset=-1`))
  ]),
  ...["__ds", "__ds%2Fx", "%5f%5fds/subscriptions/x"].map((name) =>
    refuse(`the reserved name ${name}`, undefined, request("PUT", `/v1/stream/${name}`, json))
  )
]

const put = (title: string, body: string | Uint8Array) =>
  refuse(`a subscription of ${title}`, 400, request("PUT", subscription, json, body))

const slashes = "/".repeat(200_000)

const subscriptions: ReadonlyArray<HostileCase> = [
  put("nothing", ""),
  put("no object", "[]"),
  put("10^5 brackets", `${"[".repeat(100_000)}${"]".repeat(100_000)}`),
  put("10^5 brackets that are never closed", "[".repeat(100_000)),
  put("no type", `{"pattern":"**"}`),
  put("another type", `{"type":"constructor","pattern":"**"}`),
  put("no wake stream", `{"type":"pull-wake","pattern":"**"}`),
  put("half a segment", `{"type":"pull-wake","pattern":"a*","wake_stream":"w"}`),
  put(
    "a pattern of 200,000 slashes and two letters",
    `{"type":"pull-wake","pattern":"x${slashes}x","wake_stream":"w"}`
  ),
  put(
    "a stream of 200,000 slashes and two letters",
    `{"type":"pull-wake","streams":["x${slashes}x"],"wake_stream":"w"}`
  ),
  put("a wake stream that is reserved", `{"type":"pull-wake","pattern":"**","wake_stream":"__ds/x"}`),
  put("half a lease", `{"type":"pull-wake","pattern":"**","wake_stream":"w","lease_ttl_ms":1000.5}`),
  put("a lease for ever", `{"type":"pull-wake","pattern":"**","wake_stream":"w","lease_ttl_ms":1e300}`),
  put("invalid UTF-8", Buffer.from([0x22, 0xff, 0x22])),
  ...["file:///etc/passwd", "http://169.254.169.254/", "gopher://x", "http://a b", "x", "http://[::]:99999/", "//x"]
    .map(
      (url) => put(`the webhook ${url}`, JSON.stringify({ type: "webhook", pattern: "**", webhook: { url } }))
    ),
  refuse("a subscription beyond 256 KB", 413, request("PUT", subscription, json, " ".repeat(256 * 1024 + 1))),
  refuse("a subscription as a form", 415, request("PUT", subscription, { "Content-Type": "text/plain" }, "{}")),
  ...ids.map((id) =>
    refuse(`the subscription ${id.slice(0, 20)}`, 400, request("GET", `/v1/stream/__ds/subscriptions/${id}`))
  ),
  ...["ack", "callback", "release"].map((action) =>
    refuse(`${action} without a token`, 401, request("POST", `${subscription}/${action}`, json, "{}"))
  ),
  ...["", "Basic x", "Bearer", "Bearer ", "Bearer a b", "Bearer ..", `Bearer ${"a.".repeat(5_000)}`, "Bearer é"].map((
    value
  ) =>
    refuse(
      `ack with ${value.slice(0, 20)}`,
      undefined,
      request("POST", `${subscription}/ack`, { ...json, Authorization: value }, `{"wake_id":"w","generation":1}`)
    )
  ),
  ...["__proto__", "constructor", "ack/x", "streams/%ff", "claim/"].map((action) =>
    refuse(`the action ${action}`, undefined, request("POST", `${subscription}/${action}`, json, "{}"))
  )
]

const host = "Host: localhost\r\n"
const chunked =
  `POST /streams/bad HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`

const odd: ReadonlyArray<HostileCase> = [
  refuse("a chunk extension of 1 MB", undefined, `${chunked}1;${"a".repeat(1_000_000)}\r\n1\r\n0\r\n\r\n`),
  refuse("trailers of 100 KB", undefined, `${chunked}1\r\n1\r\n0\r\nX-A: ${"a".repeat(100_000)}\r\n\r\n`),
  refuse("10^4 chunks of a byte", 400, `${chunked}${"1\r\n \r\n".repeat(10_000)}0\r\n\r\n`),
  {
    title: "an upgrade to HTTP/2",
    status: 200,
    bytes: request("GET", "/health", {
      Connection: "Upgrade, HTTP2-Settings",
      Upgrade: "h2c",
      "HTTP2-Settings": "AAMAAABk"
    })
  },
  {
    title: "an upgrade to WebSocket",
    status: 200,
    follows: true,
    bytes: request("GET", "/streams/kept", {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="
    })
  },
  { title: "a query of 15 KB", status: 200, bytes: request("GET", `/streams?x=${"a".repeat(15_000)}`) },
  { title: "2,000 parameters", status: 200, bytes: request("GET", `/streams?${"a=1&".repeat(2_000)}`) },
  { title: "a limit of 10^14", status: 200, bytes: request("GET", "/streams/kept/events?limit=100000000000000") },
  { title: "a tail of 10^14", status: 200, bytes: request("GET", "/streams/kept/events?tail=100000000000000") },
  { title: "the largest offset", status: 410, bytes: request("GET", "/streams/kept/events?offset=9999999999999999") },
  {
    title: "the largest offset, followed",
    status: 410,
    bytes: request("GET", "/streams/kept?offset=9999999999999999")
  },
  {
    title: "the largest offset, resumed",
    status: 200,
    bytes: request("GET", "/streams/kept", { "Last-Event-ID": "9999999999999999" })
  },
  { title: "a life of 10 KB", status: 410, bytes: request("GET", `/streams/kept?offset=1&life=${"a".repeat(10_000)}`) },
  { title: "a name that is only inherited", status: 404, bytes: request("GET", "/streams/toString/events") },
  {
    title: "a thousand requests in one write",
    status: 200,
    follows: true,
    bytes: Buffer.concat(Array.from({ length: 1_000 }, () => request("GET", "/v1/stream/kept?offset=-1")))
  },
  {
    title: "a thousand followings in one write",
    status: 200,
    follows: true,
    bytes: Buffer.concat(Array.from({ length: 1_000 }, () => request("GET", "/streams/kept")))
  },
  {
    title: "a read and a deletion of nothing in one write",
    status: 404,
    bytes: Buffer.concat([request("GET", "/streams/bad/events"), request("DELETE", "/streams/bad")]),
    follows: true
  },
  { title: "a deletion with a stale If-Match", status: 412, bytes: request("DELETE", kept, { "If-Match": "7" }) },
  {
    title: "a PUT that creates a stream that exists",
    status: 412,
    bytes: request("PUT", kept, { ...json, "If-None-Match": "*" })
  },
  { title: "a deletion of nothing", status: 404, bytes: request("DELETE", "/streams/bad") }
]

export const hostileCases: ReadonlyArray<HostileCase> = [
  ...[...badBodies, ...badMediaTypes, ...badParameters, ...badNames].map(({ bytes, status, title }) => ({
    title,
    bytes,
    status
  })),
  ...badHttp.map(({ bytes, status, title }) => ({ title, bytes, status })),
  ...protocol,
  ...subscriptions,
  ...odd
]
