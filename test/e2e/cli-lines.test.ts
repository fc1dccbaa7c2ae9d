/**
 * Lines of stdin that cannot become events, servers that restart in the middle, and sizes near every limit.
 */
import * as fs from "node:fs"
import { describe, expect } from "vitest"
import { dataOf, it, linesOf, type Room, until } from "../support/room.ts"
import { startCutProxy } from "./cut-proxy.ts"

const kept = async (room: Room) => dataOf(linesOf((await room.ds(["stream", "get", "-n", "a"])).stdout))

const message = (text: string) => ({ type: "message", text })

const append = (room: Room, input: string | Uint8Array, ...flags: ReadonlyArray<string>) =>
  room.ds(["stream", "append", "-n", "a", ...flags], { input })

const latin1 = Buffer.from("ok\ncaf\xe9\n\nok2\n", "latin1")

describe("a line that cannot become an event", () => {
  it("is named by its number and byte; the good lines before it are kept, those after it are not", async ({ room }) => {
    await room.ds(["server", "start"])
    expect(await append(room, latin1)).toMatchObject({
      code: 2,
      stderr: "Line 2 of stdin is not UTF-8: byte 4 of it is 0xe9. " +
        "Convert it first, for example with iconv, or give --invalid skip or --invalid replace.\n"
    })
    expect(await kept(room)).toEqual([message("ok")])
    expect(await append(room, "1\n\n  \nno json\n2\n", "-i", "json")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Line 3 of stdin, " {2}", is not JSON: .*\n$/)
    })
    expect(await kept(room)).toEqual([message("ok"), 1])
  })

  it("is left out with --invalid skip, and repaired with --invalid replace", async ({ room }) => {
    await room.ds(["server", "start"])
    expect(await append(room, latin1, "--invalid", "skip")).toMatchObject({
      code: 0,
      stderr: "Line 2 of stdin is not UTF-8: byte 4 of it is 0xe9. It was left out.\n"
    })
    expect(await append(room, latin1, "--invalid", "replace")).toMatchObject({ code: 0, stderr: "" })
    expect(await kept(room)).toEqual(["ok", "ok2", "ok", "caf\ufffd", "ok2"].map(message))
    // One U+FFFD is in the line already, and the line's end cuts a character in two.
    const cut = Buffer.concat([Buffer.from("\ufffd"), Buffer.of(0xe2, 0x82), Buffer.from("\nend\n")])
    expect((await append(room, cut)).stderr).toContain("Line 1 of stdin is not UTF-8: byte 4 of it is 0xe2.")
  })

  it("is reported ten times, and counted at the end; if there is no good one, that is an error", async ({ room }) => {
    await room.ds(["server", "start"])
    const bad = "no\n".repeat(1000)
    for (
      const [input, code, end] of [
        [`${bad}1\n`, 0, "1000 lines were left out."],
        [bad, 2, "No line of stdin could become an event (1000 lines); nothing was appended."]
      ] as const
    ) {
      const { stderr, ...ended } = await append(room, input, "-i", "json", "--invalid", "skip")
      expect({ code: ended.code, told: linesOf(stderr).length, end: linesOf(stderr).at(-1) }).toEqual({
        code,
        told: 11,
        end
      })
    }
  })

  it("is reported with the size that it becomes if that is too large; --invalid skip goes on", async ({ room }) => {
    await room.ds(["server", "start"])
    const max = 1024 * 1024
    const quotes = "\"".repeat(600_000)
    const becomes = `{"data":${JSON.stringify(message(quotes))}}`.length
    const tooLarge =
      `Line 2 of stdin is too large: it becomes a request of ${becomes} bytes, and the server takes ${max}.`
    const input = `first\n${quotes}\nlast\n`
    expect(await append(room, input)).toMatchObject({
      code: 1,
      stderr: `${tooLarge} Start the server with a larger --max-body, or give --invalid skip.\n`
    })
    expect(await append(room, input, "--invalid", "skip")).toMatchObject({
      code: 0,
      stderr: `${tooLarge} It was left out.\n`
    })
    const most = max - `{"data":${JSON.stringify(message(""))}}`.length
    expect(await append(room, "x".repeat(most))).toMatchObject({ code: 0, stderr: "" })
    expect((await append(room, "x".repeat(most + 1))).stderr).toContain(`becomes a request of ${max + 1} bytes`)
    expect((await kept(room)).map((data) => (data as { text: string }).text.length)).toEqual([5, 5, 4, most])
  })

  it("costs no more than the server's limit, and each of its bytes is looked at once", async ({ room }) => {
    await room.ds(["server", "start"])
    const line = "head -c 300000000 /dev/zero | tr '\\0' x; echo; echo last"
    const { code, stderr, stdout } = await room.sh(
      `(${line}) | durable-streams stream append -n a -o raw --invalid skip`
    ).ended
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${JSON.stringify(message("last"))}\n` })
    expect(stderr).toContain("Line 1 of stdin is too large: it has more than 1048576 bytes")
  })

  it("refuses all lines if they are one append with a condition, and so does a total over the server's limit", async ({ room }) => {
    await room.ds(["server", "start"])
    expect((await append(room, latin1, "--if-match", "0")).code).toBe(2)
    expect(await append(room, "x".repeat(100_000).concat("\n").repeat(20), "--if-match", "0")).toMatchObject({
      code: 1,
      stderr: "With a condition, all lines of stdin are one append; they become more than the 1048576 bytes that the " +
        "server takes. Nothing was appended.\n"
    })
    expect((await room.ds(["stream", "list"])).stdout).toBe("")
  })
})

describe("groups of lines", () => {
  it("are measured by the size of their events, and by the server's limit", async ({ room }) => {
    await room.ds(["server", "start", "--max-body", "5000"])
    const input = `${"\u0001\n".repeat(2000)}${"ü".repeat(2000)}\n${"x\n".repeat(500)}`
    expect(await append(room, input, "-i", "text")).toMatchObject({ code: 0, stderr: "" })
    expect(await kept(room)).toEqual([
      ...Array.from({ length: 2000 }, () => message("\u0001")),
      message("ü".repeat(2000)),
      ...Array.from({ length: 500 }, () => message("x"))
    ])
  })
})

describe("a pipe outlasts a server that restarts", () => {
  it("Promise 3: a group whose answer was lost is sent again, and is there once", async ({ room }) => {
    await room.ds(["server", "start"])
    const port = () => Number(room.read("daemon.port"))
    let cut = 0
    // The proxy cuts off every other answer to a numbered append.
    await using proxy = await startCutProxy(
      port,
      (head) => head.startsWith("POST") && /producer-id/i.test(head) && cut++ % 2 === 0
    )
    const lines = Array.from({ length: 30_000 }, (_, i) => `line ${i}`)
    fs.writeFileSync(`${room.directory}/lines`, `${lines.join("\n")}\n`)
    const { code, stderr } = await room.sh(
      `DURABLE_STREAMS_URL=${proxy.url} durable-streams stream append -n a < lines`
    ).ended
    expect(code).toBe(0)
    expect(cut).toBeGreaterThan(5)
    expect(linesOf(stderr).slice(0, 2)).toEqual([
      "Lost the server; waiting for it to come back.",
      "Back again, going on."
    ])
    expect(await kept(room)).toEqual(lines.map(message))
  })

  it("lines that come while the server is away are appended when it is back", async ({ room }) => {
    // A port that no other server takes when it is free.
    await room.ds(["server", "start", "--port", "0"])
    const port = room.read("daemon.port")!
    const pipe = room.start(["stream", "append", "-n", "a", "-o", "raw"], {
      input: "open",
      env: { DURABLE_STREAMS_URL: room.url }
    })
    pipe.write("one\n")
    await pipe.line(1)
    await room.ds(["server", "stop"])
    pipe.write("two\n")
    await pipe.told("Lost the server; waiting for it to come back.\n")
    pipe.write("three\n")
    expect(await room.ds(["server", "start", "--port", port])).toMatchObject({ code: 0, stderr: "" })
    await pipe.told("Back again, going on.\n")
    pipe.endInput()
    expect((await pipe.ended).code).toBe(0)
    expect(await kept(room)).toEqual(["one", "two", "three"].map(message))
  })

  it("a stream that was made anew meanwhile is reported, and gets the remaining lines", async ({ room }) => {
    await room.ds(["server", "start"])
    const pipe = room.start(["stream", "append", "-n", "a", "-o", "raw"], { input: "open" })
    for (const [i, line] of ["one", "two", "three"].entries()) {
      pipe.write(`${line}\n`)
      await pipe.line(i + 1)
    }
    await room.ds(["stream", "delete", "-n", "a"])
    pipe.write("four\n")
    await pipe.line(4)
    pipe.endInput()
    expect(await pipe.ended).toMatchObject({ code: 0 })
    expect(pipe.stderr).toContain(
      "The stream was made anew while this command wrote to it; going on with the new one.\n"
    )
    expect(await kept(room)).toEqual([message("four")])
  })

  it("a stream that takes no more producers takes the lines all the same; a single line is no producer", async ({ room }) => {
    await room.ds(["server", "start", "--max-producers", "1"])
    for (const line of ["a", "b", "c"]) expect(await append(room, `${line}\n`)).toMatchObject({ code: 0, stderr: "" })
    const numbers = ["--producer-id", "me", "--producer-epoch", "0", "--producer-seq", "0"]
    expect((await room.ds(["stream", "append", "-n", "a", "-m", "mine", ...numbers])).code).toBe(0)
    const pipe = room.start(["stream", "append", "-n", "a", "-o", "raw"], { input: "open" })
    for (const [i, line] of ["one", "two", "three"].entries()) {
      pipe.write(`${line}\n`)
      await pipe.line(i + 1)
    }
    pipe.endInput()
    expect(await pipe.ended).toMatchObject({
      code: 0,
      stderr: "The stream takes no more producers: from here on, a group whose answer is lost is not sent again.\n"
    })
    await until(async () => (await kept(room)).length === 7, () => "all lines")
  })
})
