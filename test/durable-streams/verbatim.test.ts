/**
 * The server keeps what clients send: the text of `data` comes back byte for byte, wherever an event is shown (promise
 * 8).
 */
import { assert, layer } from "@effect/vitest"
import { Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { freshName, offsetOf } from "../support/names.ts"
import { tried } from "../support/properties.ts"
import { eventTexts, layerServer, post, talk, urlOf } from "../support/served.ts"
import { SseReader } from "../support/sse-reader.ts"
import { names, strange } from "../support/strange-inputs.ts"
import { exchange, request } from "../support/wire.ts"

/** Bodies that mean the same as `{"data":…}`, with additions. */
const wrappings: ReadonlyArray<readonly [title: string, wrap: (data: string) => string]> = [
  ["spaces around", (data) => ` \r\n\t{ "data" :\n ${data}\n } \n`],
  ["an escaped key", (data) => `{"d\\u0061ta":${data}}`],
  ["others before and behind", (data) => `{"a":"\\"data\\":0}","b":[{"data":0}],"data":${data},"c":{"data":0}}`],
  ["data twice, of which the last counts", (data) => `{"data":{"first":[1,"}"]},"data":${data}}`],
  ["a prototype", (data) => `{"__proto__":{"data":0},"data":${data}}`]
]

/** Fails unless this is the event's text, whatever its time. */
const assertEvent = (text: string | undefined, offset: number, name: string, data: string) => {
  const head = `{"offset":"${offsetOf(offset)}","eventStreamId":${JSON.stringify(name)},"data":`
  const tail = `,"createdAt":"2024-01-08T00:00:00.000Z"}`
  assert.strictEqual(text?.slice(0, head.length), head)
  assert.isTrue(text?.slice(head.length, -tail.length) === data, "the text of data is another one")
  assert.match(text?.slice(-tail.length) ?? "", /^,"createdAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}$/)
}

/** Appends the data of the bodies in turn, and looks at the events wherever they are shown. */
const assertKept = async (port: number, name: string, cases: ReadonlyArray<{ body: string; data: string }>) => {
  const follower = await SseReader.open(port, `/streams/${name}`)
  const answers: Array<string> = []
  for (const [offset, { body, data }] of cases.entries()) {
    const answer = await post(port, name, body)
    const text = await answer.text()
    assert.strictEqual(answer.status, 201, text)
    assertEvent(text, offset, name, data)
    answers.push(text)
  }
  assert.isTrue(
    await (await fetch(`${urlOf(port, name)}/events`)).text() === `{"events":[${answers.join(",")}]}`,
    "/events shows other bytes"
  )
  assert.isTrue((await eventTexts(port, name)).join("\n") === answers.join("\n"), "NDJSON shows other bytes")
  const replay = await SseReader.open(port, `/streams/${name}?offset=-1`)
  for (const reader of [follower, replay]) {
    for (const answer of answers) assert.isTrue((await reader.event()).data === answer, "a follower sees other bytes")
    reader.close()
  }
  const { dataDirectory, storage } = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as {
    dataDirectory: string
    storage: string
  }
  if (storage === "memory") return
  const [, ...lines] = fs.readFileSync(path.join(dataDirectory, "streams", `${name}.json`), "utf8").split("\n")
  for (const [i, answer] of answers.entries()) {
    assert.isTrue(lines[i]?.startsWith(answer.slice(0, -1)), "the file holds other bytes")
  }
}

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage }), { excludeTestServices: true })(`data (${storage})`, (it) => {
    it.effect.each(strange)(
      "Promise 8: data is kept byte for byte: %s",
      ([, data]) => talk((port) => assertKept(port, freshName(), [{ body: `{"data":${data}}`, data }]))
    )

    it.effect.each(wrappings)(
      "Promise 8: data is cut out of its body, whatever else that holds: %s",
      ([, wrap]) =>
        talk((port) =>
          assertKept(
            port,
            freshName(),
            strange.filter(([, data]) => data.length < 1_000).map(([, data]) => ({ body: wrap(data), data }))
          )
        )
    )

    it.effect("Promise 8: a line break between tokens becomes a space, one in a string stays an escape", () =>
      talk((port) =>
        assertKept(port, freshName(), [
          { body: `{"data":{\n"a":\r\n[1,\r2],\n\n"b\\n":"\\r\\n"\n}\n}`, data: `{ "a":  [1, 2],  "b\\n":"\\r\\n" }` },
          { body: `{"data":\n1\n}`, data: "1" }
        ])
      ))

    it.effect("Promise 8: every line of NDJSON is kept byte for byte, in one commit", () =>
      talk(async (port) => {
        const name = freshName()
        const lines = strange.map(([, data]) => data).filter((data) => data.length < 20_000)
        const answer = await post(port, name, `\n ${lines.join(" \r\n\n\t")}`, "application/x-ndjson")
        assert.strictEqual(answer.status, 201)
        const events = await eventTexts(port, name)
        for (const [i, line] of lines.entries()) assertEvent(events[i], i, name, line)
        assert.strictEqual(events.length, lines.length)
      }))

    it.effect.prop(
      "Promise 8: any JSON text is kept byte for byte",
      [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))],
      ([bytes]) =>
        talk(async (port) => {
          const sent = jsonText(bytes)
          await assertKept(port, freshName(), [{ body: `{"data":${sent}}`, data: sent.replace(/[\r\n]/g, " ") }])
        }),
      tried(100)
    )

    it.effect("Promise 8: names that differ by a byte are different streams, and come back as they were sent", () =>
      talk(async (port) => {
        const before = await (await fetch(`http://127.0.0.1:${port}/streams`)).json() as { streams: Array<string> }
        for (const [segment] of names) {
          const bytes = request("POST", `/streams/${segment}`, { "Content-Type": "application/json" }, `{"data":1}`)
          const reply = await exchange(port, bytes)
          assert.strictEqual(reply.status, 201, `${segment}: ${reply.body.toString()}`)
          assert.include(reply.body.toString(), offsetOf(0), segment)
        }
        const { streams } = await (await fetch(`http://127.0.0.1:${port}/streams`)).json() as { streams: Array<string> }
        // `sort` orders by UTF-16 code units.
        const all = [...before.streams, ...names.map(([, name]) => name)]
        assert.deepStrictEqual(streams, all.toSorted((a, b) => a < b ? -1 : 1))
        for (const [segment, name] of names) {
          const reply = await exchange(port, request("GET", `/streams/${segment}/events`))
          const { events } = JSON.parse(reply.body.toString()) as { events: ReadonlyArray<{ eventStreamId: string }> }
          assert.deepStrictEqual(events.map(({ eventStreamId }) => eventStreamId), [name])
          assert.strictEqual((await exchange(port, request("DELETE", `/streams/${segment}`))).status, 204)
        }
        assert.deepStrictEqual(await (await fetch(`http://127.0.0.1:${port}/streams`)).json(), before)
      }))
  })
}

/** JSON text made of the bytes as of dice: every byte chooses the next thing to write. */
const jsonText = (bytes: ReadonlyArray<number>): string => {
  let at = 0
  const pick = <A>(choices: ReadonlyArray<A>): A => choices[(bytes[at++] ?? 0) % choices.length]!
  const space = () => pick(["", "", " ", "\t", "\n", "\r\n", "  "])
  const string = () => `"${Array.from({ length: pick([0, 1, 2, 5]) }, () => pick(pieces)).join("")}"`
  const list = (open: string, close: string, item: () => string) =>
    open + space() + Array.from({ length: pick([0, 1, 2, 4]) }, item).join(`${space()},${space()}`) + space() + close
  const value = (): string => {
    // When the dice are used up, every remaining part is short.
    const kind = at >= bytes.length ? 0 : pick([0, 1, 2, 3, 4, 3, 4])
    if (kind === 0) return pick(["null", "true", "false", "0"])
    if (kind === 1) return pick(["-0", "1e400", "1E-7", "12345678901234567890", "-0.00", "3.14", "1e+05"])
    if (kind === 2) return string()
    if (kind === 3) return list("[", "]", value)
    return list("{", "}", () => `${string()}${space()}:${space()}${value()}`)
  }
  return value()
}

const pieces = ["a", "é", "👩", "\u2028", "\\n", "\\\"", "\\\\", "\\ud800", "\\u0000", "{", "]", ",", ":", "data", "/"]
