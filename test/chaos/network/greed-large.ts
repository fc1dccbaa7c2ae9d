/**
 * Attacks by one: bodies, headers, names and ranges that are within every limit and as dear as they can be.
 */
import { json } from "../../support/wire.ts"
import type { Attack, Stage } from "./greed-stage.ts"
import { get, ndjson, post, prepared, put } from "./greed-stage.ts"

const mebi = 1024 * 1024

/** One body, sent a few times in a row. */
const body = (
  name: string,
  made: () => Uint8Array | ReadonlyArray<Uint8Array>,
  more: Partial<Attack> = {}
): Attack => ({
  name,
  route: "POST /streams/:name",
  run: async (stage) => {
    const bytes = made()
    await stage.answered(bytes instanceof Uint8Array ? Array.from({ length: stage.scaled(5, 3) }, () => bytes) : bytes)
  },
  ...more
})

/** As much of a text as a body of the usual limit takes. */
const filled = (text: string, around = 2): string => text.repeat(Math.floor((mebi - around) / text.length))

const toStream = (body: string) => post("/streams/body", `{"data":${body}}`)
const inLines = (body: string) => post("/streams/lines", body, ndjson)
const eventsMax = 32_768

/** As many events as one append may have. */
const prepareSmall = (stage: Stage) =>
  prepared(stage, [
    put("/v1/stream/small"),
    ...Array.from({ length: 8 }, () => post("/v1/stream/small", `[${"1,".repeat(eventsMax - 1)}1]`))
  ])

/** Sixteen kibibytes of headers are what Node takes. */
const longHeader = (name: string, text: string) => ({
  [name]: text.repeat(Math.floor(15_500 / text.length)).slice(0, -1)
})

/** A subscription to so many names. */
const streams = (count: number, width: number) =>
  put(
    "/v1/stream/__ds/subscriptions/wide",
    json,
    `{"type":"pull-wake","wake_stream":"wake","streams":[${
      Array.from({ length: count }, (_, i) => `"${i.toString(36).padStart(width, "a")}"`).join(",")
    }]}`
  )

export const large: ReadonlyArray<Attack> = [
  body("empty lines", () => inLines(`${filled("\n")}1\n`)),
  body("empty lines with a carriage return", () => inLines(`${filled("\r\n")}1\n`)),
  body("lines of spaces", () => inLines(`${filled(`${" ".repeat(15)}\n`, 16)}1\n`)),
  body("space around everything", () => toStream(`[${filled(" \n", 20)}1]`)),
  body("as many lines as there may be", () => inLines("1\n".repeat(eventsMax))),
  body("as many lines as there may be, with carriage returns", () => inLines("1\r\n".repeat(eventsMax))),
  body("more lines than there may be", () => inLines(filled("1\n"))),
  body(
    "as many messages as there may be",
    () => [put("/v1/stream/messages"), post("/v1/stream/messages", `[${"1,".repeat(eventsMax - 1)}1]`)],
    { route: "POST /v1/stream/*" }
  ),
  body(
    "as many messages as there may be, while it is made",
    () => put("/v1/stream/made", json, `[${"1,".repeat(eventsMax - 1)}1]`),
    { route: "PUT /v1/stream/*" }
  ),
  body(
    "as many lines as there may be, for a stream of bytes",
    () => [
      put("/v1/stream/lines", { "Content-Type": "text/plain" }),
      inLines(`"a"\n`.repeat(eventsMax)),
      inLines(`{"base64":"AA=="}\n`.repeat(eventsMax))
    ]
  ),
  body("brackets within brackets", () => toStream("[".repeat(520_000) + "]".repeat(520_000))),
  body("brackets that are not closed", () => toStream("[".repeat(mebi - 20))),
  body("objects within objects", () => toStream(`${`{"":`.repeat(170_000)}1${"}".repeat(170_000)}`)),
  body("brackets that are not closed, line by line", () => inLines(filled("[\n"))),
  body("strings that are not closed", () => inLines(filled("\"\n"))),
  body("escapes", () => toStream(`"${filled("\\u00e4", 20)}"`)),
  body("keys that are escaped", () => post("/streams/body", `{${filled(`"\\u0064at":1,`, 20)}"data":1}`)),
  body("data again and again", () => post("/streams/body", `{${filled(`"\\u0064ata":1,`, 20)}"data":1}`)),
  body("a number of a million digits", () => toStream(filled("9", 20))),
  body("half characters", () => post("/streams/body", Buffer.alloc(mebi, 0xc3))),
  body("characters that stand for half ones", () => toStream(`"${"\ufffd".repeat(340_000)}"`)),
  body(
    "gzip that is refused",
    () =>
      Array.from(
        { length: 5 },
        () => post("/streams/body", Buffer.alloc(mebi, 0x1f), { ...json, "Content-Encoding": "gzip" })
      )
  ),
  body("line breaks as text, to followers", () => [put("/v1/stream/breaks", { "Content-Type": "text/plain" })], {
    route: "GET /v1/stream/*?live=sse",
    run: async (stage) => {
      const text = { "Content-Type": "text/plain" }
      await prepared(stage, [put("/v1/stream/breaks", text)])
      await stage.answered(Array.from({ length: 4 }, () => post("/v1/stream/breaks", filled("\r"), text)))
      await stage.unread(8, 1, get("/v1/stream/breaks?offset=-1&live=sse"))
    }
  }),
  {
    name: "halves of characters, to followers",
    route: "GET /v1/stream/*?live=sse",
    start: { flags: ["--durability=os"] },
    run: async (stage) => {
      const text = { "Content-Type": "text/plain" }
      await prepared(stage, [put("/v1/stream/halves", text)])
      const half = post("/v1/stream/halves", Buffer.from("caf\xe9", "latin1"), text)
      await stage.answered(Array.from({ length: stage.scaled(20_000, 3_000) }, () => half))
      await stage.unread(8, 1, get("/v1/stream/halves?offset=-1&live=sse"))
    }
  },
  body("a body a byte at a time", () => {
    const chunks = Buffer.alloc(6 * 1_000_000, "1\r\n \r\n")
    const head = "POST /streams/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      "Transfer-Encoding: chunked\r\n\r\n"
    return Buffer.concat([Buffer.from(head), chunks, Buffer.from("0\r\n\r\n")])
  }),
  {
    name: "lists in headers",
    route: "GET /v1/stream/*, GET /streams/:name/events",
    prepare: (stage) => prepared(stage, [put("/v1/stream/listed", json, "[1]")]),
    run: async (stage) => {
      const times = stage.scaled(200, 50)
      await stage.read(1, times, get("/v1/stream/listed?offset=-1", longHeader("If-None-Match", "W/,")))
      await stage.read(1, times, get("/v1/stream/listed?offset=-1", longHeader("If-None-Match", " ")))
      await stage.read(1, times, get("/streams/listed/events", longHeader("Accept", "*/*;q=0,")))
      await stage.read(1, times, get("/streams/listed/events", longHeader("Accept", "application/x-ndjso ")))
      await stage.read(1, times, get("/streams/listed/events", longHeader("Range", "0-,")))
      await stage.read(1, times, get("/streams/listed/events", longHeader("X-A: 1\r\nX-", "A: 1\r\nX-A")))
      await stage.read(1, times, post("/streams/listed", `{"data":1}`, longHeader("Content-Type", "a;charset=")))
      await stage.read(1, times, post("/streams/listed", `{"data":1}`, { ...json, ...longHeader("If-Match", "\"") }))
    }
  },
  {
    name: "queries and names that go on",
    route: "GET /streams/:name/events",
    run: async (stage) => {
      const times = stage.scaled(200, 50)
      for (
        const target of [
          `/streams/a/events?${"limit=1&".repeat(1_800)}`,
          `/streams/a/events?${"&".repeat(15_000)}`,
          `/streams/a/events?since=${"1h".repeat(7_000)}x`,
          `/streams/${"%41".repeat(5_000)}/events`,
          `/streams/${"%".repeat(15_000)}`,
          `/${"/".repeat(15_000)}`,
          `/v1/stream/${"a/".repeat(7_000)}`
        ]
      ) await stage.read(1, times, get(target))
    }
  },
  {
    name: "ranges over everything",
    route: "GET /streams/:name/events, GET /v1/stream/*",
    prepare: prepareSmall,
    run: async (stage) => {
      const times = stage.scaled(3, 1)
      await stage.read(2, times, get("/streams/small/events"))
      await stage.read(2, times, get("/v1/stream/small?offset=-1"))
      await stage.unread(8, stage.scaled(500, 100), get("/streams/small/events"))
      await stage.unread(8, 1, get("/v1/stream/small?offset=-1&live=sse"))
      await stage.unread(8, 1, get("/streams/small?offset=-1"))
    }
  },
  {
    name: "one event of a large commit, by many",
    route: "GET /streams/:name/events, GET /v1/stream/*",
    prepare: prepareSmall,
    run: async (stage) => {
      const connections = stage.scaled(400, 80)
      await stage.unread(connections, 1, get("/streams/small/events?offset=100000&limit=1"))
      await stage.unread(connections, 1, get("/v1/stream/small?offset=140000&limit=1"))
    }
  },
  {
    name: "searches by time",
    route: "GET /streams/:name/events?since",
    prepare: prepareSmall,
    run: (stage) => stage.read(4, stage.scaled(500, 40), get("/streams/small/events?since=1ms&limit=1"))
  },
  {
    name: "subscriptions to as many names as a body holds",
    route: "PUT /v1/stream/__ds/subscriptions/:id",
    prepare: (stage) => prepared(stage, [put("/v1/stream/wake")]),
    run: async (stage) => {
      // As many as there may be, more than there may be, and as many as there is room for.
      await stage.answered([streams(9_999, 20), streams(80_000, 8), streams(170_000, 3)])
      await stage.answered([
        put(
          "/v1/stream/__ds/subscriptions/same",
          json,
          `{"type":"pull-wake","wake_stream":"wake","streams":[${filled(`"a",`, 100)}"a"]}`
        )
      ])
    }
  },
  {
    name: "acknowledgements by the body",
    route: "POST /v1/stream/__ds/subscriptions/:id/ack",
    prepare: (stage) =>
      prepared(stage, [
        put("/v1/stream/wake"),
        put("/v1/stream/__ds/subscriptions/s", json, `{"type":"pull-wake","wake_stream":"wake","streams":["a"]}`)
      ]),
    run: async (stage) => {
      const ack =
        `{"wake_id":"x","generation":1,"acks":[${filled(`{"stream":"a","offset":"0000000000000001"},`, 200)}` +
        `{"stream":"a","offset":"0000000000000001"}]}`
      const bad = `{"wake_id":"x","generation":1,"acks":[${filled("1,", 200)}1]}`
      const deep = `{"wake_id":${"[".repeat(500_000)}${"]".repeat(500_000)}}`
      const path = "/v1/stream/__ds/subscriptions/s/ack"
      await stage.answered([ack, bad, deep].map((body) => post(path, body, { ...json, Authorization: "Bearer x" })))
      await stage.answered([ack, bad, deep].map((body) => put("/v1/stream/__ds/subscriptions/t", json, body)))
      await stage.answered([ack, bad, deep].map((body) => post("/v1/stream/__ds/subscriptions/s/claim", body)))
    }
  }
]
