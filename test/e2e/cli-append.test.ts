/**
 * `stream append`: it makes events from flags and from stdin.
 */
import * as fs from "node:fs"
import { describe, expect } from "vitest"
import { offsetOf } from "../support/names.ts"
import { dataOf, it, linesOf, offsetsOf, type Room, until } from "../support/room.ts"

const toStdin = ["stream", "append", "-n", "a"]

const kept = async (room: Room) => dataOf(linesOf((await room.ds(["stream", "get", "-n", "a"])).stdout))

const message = (text: string) => ({ type: "message", text })

describe("flags of an append", () => {
  it("-m wraps a text, whatever it looks like; -e takes JSON as it is", async ({ room }) => {
    const texts = ["hello world", "-5 degrees", "--help", "", "ünï \u{1f600} \"quoted\" \\ 'x'", "two\nlines", "-"]
    for (const text of texts) {
      expect(await room.ds(["stream", "append", "-n", "a", "-m", text])).toMatchObject({ code: 0 })
    }
    expect(await room.ds(["stream", "append", "-n", "a", "--message=-7"])).toMatchObject({ code: 0 })
    for (const json of ["{\"custom\":\"data\"}", "-5", "null", "{\n\t\"a\": 1 }", "12345678901234567890"]) {
      expect(await room.ds(["stream", "append", "-n", "a", "-e", json])).toMatchObject({ code: 0 })
    }
    expect(await kept(room)).toEqual([
      ...[...texts, "-7"].map(message),
      { custom: "data" },
      -5,
      null,
      { a: 1 },
      JSON.parse("12345678901234567890")
    ])
    const { stdout } = await room.ds(["stream", "get", "-n", "a", "-o", "raw", "--tail", "2"])
    expect(stdout).toBe("{ \t\"a\": 1 }\n12345678901234567890\n")
  })

  it("a name that begins with a dash or holds slashes is a name", async ({ room }) => {
    const names = ["-x", "agents/one", "../up", "Ünï"]
    for (const name of names) {
      expect(await room.ds(["stream", "append", "-n", name, "-m", "x"])).toMatchObject({ code: 0 })
    }
    const { stdout } = await room.ds(["stream", "list"])
    expect(linesOf(stdout).toSorted()).toEqual(names.toSorted())
    // No server ever receives these two names: the command refuses them.
    for (const name of [".", ".."]) expect((await room.ds(["stream", "append", "-n", name, "-m", "x"])).code).toBe(2)
    expect(await room.ds(["stream", "list", "--prefix", "-x"])).toMatchObject({ code: 0, stdout: "-x\n" })
  })
})

describe("lines of stdin", () => {
  const cases: ReadonlyArray<readonly [title: string, input: string | Uint8Array, data: ReadonlyArray<unknown>]> = [
    ["one line is one event", "one\n", ["one"].map(message)],
    ["a last line without its end is a line", "one\ntwo", ["one", "two"].map(message)],
    ["Windows' line ends are no part of the text", "one\r\ntwo\r\n", ["one", "two"].map(message)],
    ["empty lines are left out", "\n\none\n\n", ["one"].map(message)],
    ["objects and arrays are JSON, anything else is text", "{\"a\":1}\n[2]\n3\nnull\n{no\n", [
      { a: 1 },
      [2],
      ...["3", "null", "{no"].map(message)
    ]],
    ["a mark that says UTF-8 is no part of the text", "\ufeffone\n", [message("one")]],
    ["a character that arrives in two pieces is whole", "ü".repeat(70_000), [message("ü".repeat(70_000))]]
  ]
  it("become events as a table of cases says", async ({ room }) => {
    let count = 0
    for (const [title, input, data] of cases) {
      expect({ title, ...await room.ds(toStdin, { input }) }).toMatchObject({ title, code: 0 })
      expect({ title, data: (await kept(room)).slice(count) }).toEqual({ title, data })
      count += data.length
    }
  })

  it("are wrong usage and append nothing if they hold no line, or are not UTF-8", async ({ room }) => {
    await room.ds(["server", "start"])
    for (const input of ["", "\n\n", undefined]) {
      expect(await room.ds(toStdin, input === undefined ? {} : { input })).toEqual({
        code: 2,
        signal: null,
        stdout: "",
        stderr: "stdin held no line; nothing was appended.\n"
      })
    }
    const { code, stderr } = await room.ds(toStdin, { input: Uint8Array.of(0xff, 0xfe, 0x0a, 0x6f, 0x6b, 0x0a) })
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "Line 1 of stdin is not UTF-8: byte 1 of it is 0xff. " +
        "Convert it first, for example with iconv, or give --invalid skip or --invalid replace.\n"
    })
    expect((await room.ds(["stream", "list"])).stdout).toBe("")
  })

  it("become the kind of event that -i says", async ({ room }) => {
    expect(await room.ds([...toStdin, "-i", "text"], { input: "{\"a\":1}\n" })).toMatchObject({ code: 0 })
    expect(await room.ds([...toStdin, "-i", "json"], { input: "\"x\"\n3\n" })).toMatchObject({ code: 0 })
    const wrong = await room.ds([...toStdin, "--input", "json"], { input: "{\"a\":1}\nnot json\n" })
    expect(wrong).toMatchObject({
      code: 2,
      stdout: expect.stringContaining(`"data":{"a":1}`),
      stderr: expect.stringContaining("Line 2 of stdin, \"not json\", is not JSON")
    })
    expect(await kept(room)).toEqual([message("{\"a\":1}"), "x", 3, { a: 1 }])
  })

  it("that come slowly are appended as they come", async ({ room }) => {
    const append = room.start(toStdin, { input: "open" })
    for (let i = 0; i < 3; i++) {
      append.write(`line ${i}\n`)
      const lines = await append.line(i + 1)
      expect(offsetsOf(lines)).toEqual(Array.from({ length: i + 1 }, (_, k) => k))
    }
    append.write("half")
    append.write(" a line")
    append.endInput()
    expect(await append.ended).toMatchObject({ code: 0 })
    expect(await kept(room)).toEqual(["line 0", "line 1", "line 2", "half a line"].map(message))
  })

  it("become as many events if there are a hundred thousand, in order, in commits that stdout names", async ({ room }) => {
    const count = 100_000
    fs.writeFileSync(`${room.directory}/lines`, Array.from({ length: count }, (_, i) => `line ${i}\n`).join(""))
    const { code, stdout } = await room.sh("durable-streams stream append -n a < lines").ended
    expect(code).toBe(0)
    let next = 0
    for (const line of linesOf(stdout)) {
      const receipt = JSON.parse(line) as Record<string, unknown>
      expect(receipt).toMatchObject({ eventStreamId: "a", offset: offsetOf(next) })
      next += receipt["count"] as number
    }
    expect(next).toBe(count)
    const got = await room.sh("durable-streams stream get -n a -o raw > got; tail -n 1 got; wc -l < got").ended
    expect(got.stdout).toBe(`{"type":"message","text":"line ${count - 1}"}\n${count}\n`)
    const raw = linesOf(fs.readFileSync(`${room.directory}/got`, "utf8"))
    expect(raw.findIndex((line, i) => line !== `{"type":"message","text":"line ${i}"}`)).toBe(-1)
  })

  it("that end by Ctrl-C are kept up to there", async ({ room }) => {
    const append = room.start(toStdin, { input: "open" })
    append.write("one\n")
    await append.line(1)
    append.kill("SIGINT")
    expect((await append.ended).code).toBe(130)
    await until(async () => (await kept(room)).length === 1, () => "the event")
  })
})
