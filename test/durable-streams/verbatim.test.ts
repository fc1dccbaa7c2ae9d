/**
 * What was sent is what is kept: the text of `data` comes back byte for byte, wherever an event is shown (promise 8).
 */
import { assert, layer } from "@effect/vitest"
import { Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { tried } from "../properties.ts"
import { Follower } from "../web/follower.ts"
import { exchange, request } from "../web/wire.ts"
import { eventTexts, freshName, layerServer, offsetOf, post, talk, urlOf } from "./served.ts"

const strange: ReadonlyArray<readonly [title: string, data: string]> = [
  ["a number beyond 2^53", "12345678901234567890"],
  ["a number no double can hold", "1e400"],
  ["a number too small for a double", "-1e-400"],
  ["more digits than a double has", "0.1000000000000000055511151231257827021181583404541015625"],
  ["minus zero", "-0"],
  ["an unusual way to write a number", "1E+2"],
  ["a number of 10,000 digits", "9".repeat(10_000)],
  ["duplicate keys", `{"a":1,"a":2,"a":{"a":3}}`],
  ["__proto__ and friends", `{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toString":null}`],
  ["keys that look like numbers, in their order", `{"10":1,"9":2,"01":3}`],
  ["an empty key", `{"":{"":""}}`],
  ["lone surrogates, escaped", `"\\ud800 \\udc00\\ud800"`],
  ["escapes that need not be", `"\\u0041\\/\\u002f\\b\\f\\n\\r\\t\\"\\\\"`],
  ["an escaped NUL", `"a\\u0000b"`],
  ["line separators of Unicode", `"a\u2028b\u2029c\u0085d"`],
  ["a byte order mark in a string", `"\ufeffa"`],
  ["DEL and noncharacters", `"\u007f\uffff\ufffe\u{10ffff}"`],
  ["emoji, and both ways to write é", `"👩‍👩‍👧 é e\u0301"`],
  ["what looks like the end of an event", `"x\\",\\"createdAt\\":\\"2024-01-08T00:00:00.000Z\\"}"`],
  ["what looks like a commit", `{"commit":{"crc":"00000000"}}`],
  ["what looks like a whole event", `{"offset":"0000000000000009","eventStreamId":"x","data":1,"createdAt":"x"}`],
  ["what looks like a frame", `"\\n\\ndata: x\\n\\nid: 9\\n\\n"`],
  ["data in data", `{"data":{"data":[{"data":1}]}}`],
  ["spaces and tabs between tokens", `{ "a" :\t[ 1 , 2 ] }`],
  ["null", "null"],
  ["an empty string", `""`],
  ["an empty object with a space in it", "{ }"],
  ["nesting 10^5 deep", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
  ["nesting 5 * 10^5 deep", `${"[".repeat(500_000)}${"]".repeat(500_000)}`],
  ["objects nested 10^5 deep", `${`{"a":`.repeat(100_000)}1${"}".repeat(100_000)}`],
  ["10^5 keys", `{${Array.from({ length: 50_000 }, (_, i) => `"key-${i}":${i}`).join(",")}}`],
  ["a string of nearly the limit", `"${"x".repeat(1024 * 1024 - 11)}"`],
  ["a string of quotes and backslashes", `"${"\\\\\\\"".repeat(50_000)}"`]
]

/** Bodies that say the same as `{"data":…}` and more. */
const wrappings: ReadonlyArray<readonly [title: string, wrap: (data: string) => string]> = [
  ["spaces around", (data) => ` \r\n\t{ "data" :\n ${data}\n } \n`],
  ["an escaped key", (data) => `{"d\\u0061ta":${data}}`],
  ["others before and behind", (data) => `{"a":"\\"data\\":0}","b":[{"data":0}],"data":${data},"c":{"data":0}}`],
  ["data twice, of which the last counts", (data) => `{"data":{"first":[1,"}"]},"data":${data}}`],
  ["a prototype", (data) => `{"__proto__":{"data":0},"data":${data}}`]
]

/** The event's text, whatever its time. */
const assertEvent = (text: string | undefined, offset: number, name: string, data: string) => {
  const head = `{"offset":"${offsetOf(offset)}","eventStreamId":${JSON.stringify(name)},"data":`
  const tail = `,"createdAt":"2024-01-08T00:00:00.000Z"}`
  assert.strictEqual(text?.slice(0, head.length), head)
  assert.isTrue(text?.slice(head.length, -tail.length) === data, "the text of data is another one")
  assert.match(text?.slice(-tail.length) ?? "", /^,"createdAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}$/)
}

/** Appends the data of the bodies in turn, and looks at the events wherever they are shown. */
const assertKept = async (port: number, name: string, cases: ReadonlyArray<{ body: string; data: string }>) => {
  const follower = await Follower.open(port, `/streams/${name}`)
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
  const replay = await Follower.open(port, `/streams/${name}?offset=-1`)
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
      "Promise 8: any JSON text whatever is kept byte for byte",
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
        // Sorted by UTF-16 code units is what `sort` does.
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

/** Path segments, and the names they stand for. */
const names: ReadonlyArray<readonly [segment: string, name: string]> = [
  ["..", ".."],
  [".", "."],
  ["%2e%2e%2f%2e%2e%2fetc%2fpasswd", "../../etc/passwd"],
  ["%2F", "/"],
  ["%2F%2F", "//"],
  ["a%2Fb", "a/b"],
  ["a%2Fb%2F", "a/b/"],
  ["%252e", "%2e"],
  ["%25252e", "%252e"],
  ["a%5Cb", "a\\b"],
  ["events", "events"],
  ["streams", "streams"],
  ["a%2Fevents", "a/events"],
  ["__proto__", "__proto__"],
  ["constructor", "constructor"],
  ["hasOwnProperty", "hasOwnProperty"],
  ["Case", "Case"],
  ["case", "case"],
  ["CASE", "CASE"],
  ["%C3%A9", "\u00e9"],
  ["e%CC%81", "e\u0301"],
  ["%E2%84%AB", "\u212b"],
  ["%C3%85", "\u00c5"],
  ["%20", " "],
  ["a%20", "a "],
  ["a.", "a."],
  ["CON", "CON"],
  ["nul", "nul"],
  ["aux.json", "aux.json"],
  ["daemon.pid", "daemon.pid"],
  ["lock", "lock"],
  ["-rf", "-rf"],
  ["%24%28x%29%3B%2A%3F", "$(x);*?"],
  ["%22%7B%7D%5B%5D", `"{}[]`],
  ["a+b", "a+b"],
  ["a;b=c,d", "a;b=c,d"],
  ["%F0%9F%91%A9", "\u{1f469}"],
  ["%E2%80%AEgnp.exe", "\u202egnp.exe"],
  ["%EF%BB%BFx", "\ufeffx"],
  ["a".repeat(84), "a".repeat(84)],
  ["%C3%A9".repeat(128), "\u00e9".repeat(128)],
  ["%C3%A9".repeat(127), "\u00e9".repeat(127)],
  ["b".repeat(250), "b".repeat(250)],
  ["b".repeat(251), "b".repeat(251)],
  ["b".repeat(512), "b".repeat(512)],
  ["%C3%A9".repeat(256), "\u00e9".repeat(256)]
]

/** JSON text made of the bytes as of a dice: every byte chooses the next thing to write. */
const jsonText = (bytes: ReadonlyArray<number>): string => {
  let at = 0
  const pick = <A>(choices: ReadonlyArray<A>): A => choices[(bytes[at++] ?? 0) % choices.length]!
  const space = () => pick(["", "", " ", "\t", "\n", "\r\n", "  "])
  const string = () => `"${Array.from({ length: pick([0, 1, 2, 5]) }, () => pick(pieces)).join("")}"`
  const list = (open: string, close: string, item: () => string) =>
    open + space() + Array.from({ length: pick([0, 1, 2, 4]) }, item).join(`${space()},${space()}`) + space() + close
  const value = (): string => {
    // With the dice used up, everything left is short.
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
