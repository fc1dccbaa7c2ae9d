/**
 * Requests that are broken or hostile below the level of routes, each with the status it deserves. The stream `kept`
 * exists, the stream `bad` must not.
 */
import { request } from "./wire.ts"

const body = `{"data":"smuggled"}`
const json = "Content-Type: application/json\r\n"
const host = "Host: localhost\r\n"
const post = `POST /streams/bad HTTP/1.1\r\n${host}${json}`

export interface BadHttp {
  readonly title: string
  readonly bytes: string | Uint8Array
  readonly status: number
  readonly allow?: string
}

const statuses = (status: number, cases: ReadonlyArray<readonly [title: string, bytes: string | Uint8Array]>) =>
  cases.map(([title, bytes]): BadHttp => ({ title, bytes, status }))

const ofStream = "POST, GET, HEAD, DELETE, OPTIONS"

export const badHttp: ReadonlyArray<BadHttp> = [
  ...statuses(400, [
    ["no HTTP at all", "hello\r\n\r\n"],
    ["TLS where none is spoken", Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])],
    ["HTTP/2 from the start", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["no Host", "GET /health HTTP/1.1\r\n\r\n"],
    ["Transfer-Encoding in HTTP/1.0", `GET /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["two Hosts", `GET /health HTTP/1.1\r\n${host}${host}\r\n`],
    ["an absolute-form target", `GET http://localhost/health HTTP/1.1\r\n${host}\r\n`],
    ["an absolute-form target of another host", `GET http://evil.com/health HTTP/1.1\r\n${host}\r\n`],
    [
      "an absolute-form append",
      `POST http://localhost/streams/bad HTTP/1.1\r\n${host}${json}Content-Length: 19\r\n\r\n${body}`
    ],
    ["the asterisk form", `OPTIONS * HTTP/1.1\r\n${host}\r\n`],
    ["CONNECT", `CONNECT localhost:80 HTTP/1.1\r\n${host}\r\n`],
    ["CONNECT with a path", `CONNECT /streams/bad HTTP/1.1\r\n${host}\r\n`],
    ["a space in the target", `GET /streams/a b HTTP/1.1\r\n${host}\r\n`],
    ["a NUL in the target", `GET /streams/a\0b HTTP/1.1\r\n${host}\r\n`],
    ["a bare CR in a header", `GET /health HTTP/1.1\r\n${host}X-A: a\rb\r\n\r\n`],
    ["a space before the first header", `GET /health HTTP/1.1\r\n X-A: a\r\n${host}\r\n`],
    ["a Host that is none", "GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    ["a NUL in a header", `GET /health HTTP/1.1\r\n${host}X-A: a\0b\r\n\r\n`],
    ["a header without a name", `GET /health HTTP/1.1\r\n${host}: a\r\n\r\n`],
    ["a space before the colon", `GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n`],
    ["a folded header", `GET /health HTTP/1.1\r\n${host}X-A: a\r\n b\r\n\r\n`],
    ["bare line feeds", "GET /health HTTP/1.1\nHost: localhost\n\n"],
    ["a length and chunks", `${post}Content-Length: 19\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["two lengths", `${post}Content-Length: 19\r\nContent-Length: 20\r\n\r\n${body}`],
    ["a list of lengths", `${post}Content-Length: 19, 19\r\n\r\n${body}`],
    ["a negative length", `${post}Content-Length: -1\r\n\r\n${body}`],
    ["a length with a sign", `${post}Content-Length: +19\r\n\r\n${body}`],
    ["a hexadecimal length", `${post}Content-Length: 0x13\r\n\r\n${body}`],
    ["a length beyond 64 bits", `${post}Content-Length: 99999999999999999999\r\n\r\n${body}`],
    [
      "Transfer-Encoding: chunked, identity",
      `${post}Transfer-Encoding: chunked, identity\r\n\r\n13\r\n${body}\r\n0\r\n\r\n`
    ],
    ["Transfer-Encoding: xchunked", `${post}Transfer-Encoding: xchunked\r\n\r\n13\r\n${body}\r\n0\r\n\r\n`],
    ["a chunk size that is none", `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n${body}\r\n0\r\n\r\n`],
    ["a chunk longer than it says", `${post}Transfer-Encoding: chunked\r\n\r\n2\r\n${body}\r\n0\r\n\r\n`],
    ["a chunk size beyond 64 bits", `${post}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n${body}\r\n`],
    ["a body on GET", `GET /streams HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\n{}`],
    ["a chunked body on GET", `GET /streams/kept/events HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`]
  ]),
  ...statuses(501, [
    [
      "Transfer-Encoding: identity, chunked",
      `${post}Transfer-Encoding: identity, chunked\r\n\r\n13\r\n${body}\r\n0\r\n\r\n`
    ],
    ["Transfer-Encoding: gzip, chunked", `${post}Transfer-Encoding: gzip, chunked\r\n\r\n13\r\n${body}\r\n0\r\n\r\n`],
    [
      "identity, chunked on a deletion",
      `DELETE /streams/kept HTTP/1.1\r\n${host}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`
    ],
    ["a method in lower case", `get /health HTTP/1.1\r\n${host}\r\n`],
    ["a method nobody knows", `BREW /health HTTP/1.1\r\n${host}\r\n`]
  ]),
  ...statuses(505, [
    ["HTTP/2.0 in the form of 1.1", `GET /health HTTP/2.0\r\n${host}\r\n`],
    ["a version that is none", `GET /health HTTP/9.9\r\n${host}\r\n`],
    ["a version without a minor one of its own", `GET /health HTTP/1.2\r\n${host}\r\n`]
  ]),
  ...statuses(404, [
    ["the root", `GET / HTTP/1.1\r\n${host}\r\n`],
    ["a favicon", `GET /favicon.ico HTTP/1.1\r\n${host}\r\n`],
    ["a stream without a name", `GET /streams/ HTTP/1.1\r\n${host}\r\n`],
    [
      "a stream without a name, appended to",
      request("POST", "/streams/", { "Content-Type": "application/json" }, body)
    ],
    ["the events of no name", `GET /streams//events HTTP/1.1\r\n${host}\r\n`],
    ["a name with a raw slash", request("POST", "/streams/a/b", { "Content-Type": "application/json" }, body)],
    ["a slash too many", `GET /streams/kept/events/ HTTP/1.1\r\n${host}\r\n`],
    ["two slashes in front", `GET //streams HTTP/1.1\r\n${host}\r\n`],
    ["capitals", `GET /Streams HTTP/1.1\r\n${host}\r\n`],
    ["an encoded slash between the parts", `GET %2Fstreams HTTP/1.1\r\n${host}\r\n`.replace(" %2F", " /%2F")],
    ["an encoded letter in a route", `GET /%73treams HTTP/1.1\r\n${host}\r\n`],
    ["dots to another route", `GET /streams/../health HTTP/1.1\r\n${host}\r\n`],
    ["encoded dots to another route", `GET /streams/%2e%2e/health HTTP/1.1\r\n${host}\r\n`],
    ["backslashes", `GET /streams\\kept HTTP/1.1\r\n${host}\r\n`],
    ["a path of 10,000 slashes", `GET ${"/".repeat(10_000)} HTTP/1.1\r\n${host}\r\n`],
    ["OPTIONS of nothing", `OPTIONS /nothing HTTP/1.1\r\n${host}\r\n`]
  ]),
  ...([
    ["PUT", "/streams/bad", ofStream],
    ["PATCH", "/streams/bad", ofStream],
    ["TRACE", "/streams/bad", ofStream],
    ["PROPFIND", "/streams/bad", ofStream],
    ["QUERY", "/streams/bad", ofStream],
    ["POST", "/streams", "GET, HEAD, OPTIONS"],
    ["DELETE", "/streams", "GET, HEAD, OPTIONS"],
    ["POST", "/streams/kept/events", "GET, HEAD, OPTIONS"],
    ["DELETE", "/streams/kept/events", "GET, HEAD, OPTIONS"],
    ["POST", "/health", "GET, HEAD, OPTIONS"],
    ["TRACE", "/health", "GET, HEAD, OPTIONS"],
    ["PUT", "/openapi.json", "GET, HEAD, OPTIONS"],
    ["DELETE", "/docs", "GET, HEAD, OPTIONS"]
  ] as const).map(([method, target, allow]): BadHttp => ({
    title: `${method} ${target}`,
    bytes: `${method} ${target} HTTP/1.1\r\n${host}${json}Content-Length: 0\r\n\r\n`,
    status: 405,
    allow
  })),
  ...statuses(417, [
    ["an expectation nobody can meet", `${post}Expect: the-impossible\r\nContent-Length: 19\r\n\r\n${body}`]
  ]),
  ...statuses(431, [
    ["a header of 17 KB", `GET /health HTTP/1.1\r\n${host}X-A: ${"a".repeat(17 * 1024)}\r\n\r\n`],
    ["a target of 17 KB", `GET /streams/${"a".repeat(17 * 1024)} HTTP/1.1\r\n${host}\r\n`],
    ["3,000 headers", `GET /health HTTP/1.1\r\n${host}${"X-A: 1\r\n".repeat(3_000)}\r\n`]
  ])
]
