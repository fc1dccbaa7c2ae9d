/**
 * Requests of the native API that cannot mean anything, each with the refusal it deserves. The lower half of HTTP is in
 * test/http-node/bad-http.test.ts.
 */
import { gzipSync } from "node:zlib"
import { json, request } from "./wire.ts"

export interface BadRequest {
  readonly title: string
  readonly bytes: Uint8Array
  readonly status: number
  /** The kind of refusal, as `type` names it. */
  readonly type: string
}

const ndjson = { "Content-Type": "application/x-ndjson" }
const bytes = (...parts: ReadonlyArray<string | ReadonlyArray<number>>) =>
  Buffer.concat(parts.map((part) => typeof part === "string" ? Buffer.from(part) : Buffer.from(part)))

const invalid = (title: string, bytes: Uint8Array): BadRequest => ({
  title,
  bytes,
  status: 400,
  type: "InvalidRequest"
})

const badJson: ReadonlyArray<readonly [title: string, body: string | Uint8Array]> = [
  ["an empty body", ""],
  ["a body of spaces", "  \n "],
  ["a cut object", `{"data":`],
  ["a cut string", `{"data":"abc`],
  ["a missing bracket", `{"data":[1,2}`],
  ["a trailing comma", `{"data":[1,]}`],
  ["a comma too many in an object", `{"data":1,}`],
  ["single quotes", `{'data':1}`],
  ["a bare key", `{data:1}`],
  ["a comment", `{"data":1/* one */}`],
  ["two values", `{"data":1}{"data":2}`],
  ["something behind the value", `{"data":1} x`],
  ["undefined", `{"data":undefined}`],
  ["NaN", `{"data":NaN}`],
  ["Infinity", `{"data":Infinity}`],
  ["a plus sign", `{"data":+1}`],
  ["a leading zero", `{"data":01}`],
  ["a hexadecimal number", `{"data":0x1}`],
  ["a number without digits behind the point", `{"data":1.}`],
  ["True with a capital", `{"data":True}`],
  ["a form", "data=1"],
  ["XML", "<data>1</data>"],
  ["a raw line break in a string", `{"data":"a\nb"}`],
  ["a raw tab in a string", `{"data":"a\tb"}`],
  ["a raw NUL in a string", `{"data":"a\0b"}`],
  ["a NUL behind the value", `{"data":1}\0`],
  ["a bad escape", `{"data":"\\x41"}`],
  ["half a unicode escape", `{"data":"\\u12"}`],
  ["two byte order marks", bytes([0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], `{"data":1}`)],
  ["UTF-16", Buffer.from(`{"data":1}`, "utf16le")],
  ["a lone byte 0xff", bytes(`{"data":"`, [0xff], `"}`)],
  ["an overlong encoding", bytes(`{"data":"`, [0xc0, 0xaf], `"}`)],
  ["a cut character", bytes(`{"data":"`, [0xe2, 0x82], `"}`)],
  ["a surrogate in UTF-8", bytes(`{"data":"`, [0xed, 0xa0, 0x80], `"}`)],
  ["a code point beyond Unicode", bytes(`{"data":"`, [0xf4, 0x90, 0x80, 0x80], `"}`)],
  ["a no-break space around the value", bytes([0xc2, 0xa0], `{"data":1}`)],
  ["10^5 brackets that are never closed", `{"data":${"[".repeat(100_000)}`],
  ["10^5 objects that are never closed", `{"data":${`{"a":`.repeat(100_000)}`],
  ["no data", `{"event":1}`],
  ["an empty object", "{}"],
  ["Data with a capital", `{"Data":1}`],
  ["data that is only inherited", `{"__proto__":{"data":1}}`],
  ["null", "null"],
  ["a number", "1"],
  ["a string", `"data"`],
  ["an array", `[{"data":1}]`],
  ["true", "true"]
]

const badNdjson: ReadonlyArray<readonly [title: string, body: string | Uint8Array]> = [
  ["an empty body", ""],
  ["empty lines alone", "\n\n \n"],
  ["one bad line of three", `{"a":1}\n{"a":\n{"a":3}`],
  ["a cut last line", `{"a":1}\n{"a"`],
  ["values with commas between", "1,2,3"],
  ["a byte order mark in front of a later line", bytes("1\n", [0xef, 0xbb, 0xbf], "2\n")],
  ["a no-break space around a value", "1\n\u00a02\n"],
  ["a raw NUL", "1\n\0\n2"],
  ["invalid UTF-8 in the last line", bytes(`"a"\n"`, [0xff], `"\n`)]
]

export const badBodies: ReadonlyArray<BadRequest> = [
  ...badJson.map(([title, body]) => invalid(`${title} as JSON`, request("POST", "/streams/bad", json, body))),
  ...badNdjson.map(([title, body]) => invalid(`${title} as NDJSON`, request("POST", "/streams/bad", ndjson, body)))
]

const badTypes: ReadonlyArray<readonly [title: string, headers: Record<string, string>]> = [
  ["no content type", {}],
  ["text", { "Content-Type": "text/plain" }],
  ["a form", { "Content-Type": "application/x-www-form-urlencoded" }],
  ["multipart", { "Content-Type": "multipart/form-data; boundary=x" }],
  ["JSON by prefix", { "Content-Type": "application/jsonx" }],
  ["JSON by suffix", { "Content-Type": "application/ld+json" }],
  ["two content types in one", { "Content-Type": "application/json, text/plain" }],
  ["an empty content type", { "Content-Type": "" }],
  ["Latin-1", { "Content-Type": "application/json; charset=iso-8859-1" }],
  ["UTF-16", { "Content-Type": "application/json; charset=utf-16" }],
  ["gzip", { ...json, "Content-Encoding": "gzip" }],
  ["brotli", { ...json, "Content-Encoding": "br" }],
  ["deflate in capitals", { ...json, "Content-Encoding": "DEFLATE" }],
  ["a chain of encodings", { ...json, "Content-Encoding": "identity, gzip" }]
]

export const badMediaTypes: ReadonlyArray<BadRequest> = badTypes.map(([title, headers]) => ({
  title,
  bytes: request("POST", "/streams/bad", headers, title === "gzip" ? gzipSync(`{"data":1}`) : `{"data":1}`),
  status: 415,
  type: "UnsupportedMediaType"
}))

export const badOffsets = [
  "",
  "abc",
  "-2",
  "--1",
  "1e3",
  "12345678901234567",
  "1000000000000000000000000000000",
  "%201",
  "1%20",
  "+1",
  "%2B1",
  "0x1",
  "1.0",
  "1_000",
  "%D9%A3",
  "%EF%BC%91",
  "NOW",
  "latest",
  "null",
  "__proto__",
  "0%00",
  "%FF"
]

const badCounts = ["", "0", "-1", "00", "1.5", "1e3", "abc", "+1", "%201", "0x10", "Infinity", "1000000000000000"]

const badTimes = [
  "",
  "yesterday",
  "10",
  "10x",
  "-10m",
  "1h%2030m",
  "10mm",
  "m",
  "1.5h",
  "2026-01-08",
  "2026-13-45T00:00:00Z",
  "2026-01-08T25:00:00Z",
  "2026-02-30T00:00:00Z",
  "2026-01-08T24:00:00Z",
  "2026-01-08T09:00:60Z",
  "2026-01-08T09:00:00",
  "1767866400000",
  "P1D"
]

const parameters = [
  ...badOffsets.map((value) => ["offset", `offset=${value}`] as const),
  ...badCounts.flatMap((value) => [["limit", `limit=${value}`] as const, ["tail", `tail=${value}`] as const]),
  ...badTimes.map((value) => ["since", `since=${value}`] as const),
  ["offset twice", "offset=0&offset=1"] as const,
  ["limit twice", "limit=1&limit=1"] as const,
  ["tail twice", "tail=1&tail=2"] as const,
  ["since twice", "since=1m&since=1m"] as const
]

const badResumes = ["abc", "-2", "now", "beginning", "1e3", "12345678901234567", "0x1", "1, 2", "0000000000000001x", ""]

const badMatches = [
  "abc",
  "-1",
  `"0000000000000000" "0000000000000001"`,
  `"0`,
  "1e3",
  "12345678901234567",
  "now",
  ""
]

export const badParameters: ReadonlyArray<BadRequest> = [
  ...parameters.map(([title, query]) =>
    invalid(`${title}: events?${query}`, request("GET", `/streams/bad/events?${query}`))
  ),
  ...parameters.filter(([title]) => !title.startsWith("limit")).map(([title, query]) =>
    invalid(`${title}: ?${query}`, request("GET", `/streams/bad?${query}`))
  ),
  ...badCounts.map((value) => invalid(`limit: streams?limit=${value}`, request("GET", `/streams?limit=${value}`))),
  invalid("prefix twice", request("GET", "/streams?prefix=a&prefix=b")),
  invalid("after twice", request("GET", "/streams?after=a&after=b")),
  ...badResumes.map((value) =>
    invalid(`Last-Event-ID: ${value}`, request("GET", "/streams/bad", { "Last-Event-ID": value }))
  ),
  ...badMatches.map((value) =>
    invalid(`If-Match: ${value}`, request("POST", "/streams/bad", { ...json, "If-Match": value }, `{"data":1}`))
  )
]

export const badPathNames: ReadonlyArray<readonly [title: string, segment: string]> = [
  ["a percent sign alone", "%"],
  ["half an escape", "%4"],
  ["an escape that is none", "%zz"],
  ["a lone byte 0xff", "%ff"],
  ["an overlong slash", "%c0%af"],
  ["a surrogate", "%ed%a0%80"],
  ["a NUL", "a%00b"],
  ["a line feed", "a%0Ab"],
  ["a carriage return and a header", "a%0d%0aX-Evil:%201"],
  ["a tab", "%09"],
  ["an escape character", "%1b%5b31m"],
  ["DEL", "%7f"],
  ["a C1 control character", "%c2%85"],
  ["513 bytes", "a".repeat(513)],
  ["600 bytes", "a".repeat(600)],
  ["257 characters of two bytes", "%C3%A9".repeat(257)],
  ["10,000 bytes", "a".repeat(10_000)]
]

export const badNames: ReadonlyArray<BadRequest> = badPathNames.flatMap(([title, segment]) => [
  invalid(`${title}, appended to`, request("POST", `/streams/${segment}`, json, `{"data":1}`)),
  invalid(`${title}, followed`, request("GET", `/streams/${segment}`)),
  invalid(`${title}, read`, request("GET", `/streams/${segment}/events`)),
  invalid(`${title}, deleted`, request("DELETE", `/streams/${segment}`))
])
