/**
 * `stream create | info | close | fork`, the conditions of an append, and streams that hold bytes. The sentences are in
 * test/e2e/transcripts/protocol.txt.
 */
import { Exit } from "effect"
import { describe, expect } from "vitest"
import { ServerRefused } from "../../src/client/client-answers.ts"
import { endingOf } from "../../src/durable-streams/cli.ts"
import { dataOf, it, linesOf, type Room } from "../support/room.ts"

const stream = async (room: Room, ...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await room.ds(["stream", ...args])
  expect({ args, code, stderr: stderr.replace(/^Started .*\n/, "") }).toMatchObject({ code: 0 })
  return stdout
}

const kept = async (room: Room, name: string) => dataOf(linesOf(await stream(room, "get", "-n", name)))

const info = async (room: Room, name: string) =>
  JSON.parse(await stream(room, "info", "-n", name, "--json")) as Record<string, unknown>

describe("a stream that is made", () => {
  it("is as the request asked, under any name that a stream can have", async ({ room }) => {
    for (const name of ["a/b", "../up", "100% ü", "a//b/"]) {
      await stream(room, "create", "-n", name, "-m", "first")
      expect(await info(room, name)).toEqual({
        stream: name,
        contentType: "application/json",
        nextOffset: "0000000000000001",
        closed: false
      })
      await stream(room, "append", "-n", name, "-e", "2")
      await stream(room, "fork", "-n", name, "--to", `${name}!`, "--offset", "0", "--sub-offset", "1")
      expect(await kept(room, `${name}!`)).toEqual([{ type: "message", text: "first" }])
    }
  })

  it("expires and is closed if the request asked for that", async ({ room }) => {
    await stream(room, "create", "-n", "a", "--ttl", "1h30m", "--closed", "-e", "[1,2]")
    expect(await info(room, "a")).toMatchObject({ closed: true, ttlSeconds: 5400, nextOffset: "0000000000000001" })
    expect(await kept(room, "a")).toEqual([[1, 2]])
    const expiresAt = "2100-01-01T00:00:00Z"
    await stream(room, "create", "-n", "b", "--content-type", "text/plain; charset=utf-8", "--expires-at", expiresAt)
    expect(await info(room, "b")).toMatchObject({ contentType: "text/plain; charset=utf-8", expiresAt, closed: false })
  })
})

describe("a stream that is closed", () => {
  it("ends its followers, after its last event, with code 0", async ({ room }) => {
    await stream(room, "append", "-n", "a", "-e", "0")
    const followers = [["subscribe", "--offset", "-1"], ["get", "-f"]].map((args) =>
      room.start(["stream", ...args, "-n", "a"])
    )
    for (const follower of followers) await follower.line(1)
    await stream(room, "close", "-n", "a", "-e", "[\"the\", \"end\"]")
    for (const follower of followers) {
      expect(await follower.ended).toMatchObject({ code: 0, stderr: "" })
      expect(dataOf(follower.lines)).toEqual([0, ["the", "end"]])
    }
  })
})

describe("an append with a condition", () => {
  it("takes all lines of stdin as one, however they arrive", async ({ room }) => {
    // More than arrives at once, and more than one commit takes otherwise.
    const lines = Array.from({ length: 3_000 }, (_, i) => JSON.stringify(`${i} ${"x".repeat(200)}`))
    const producer = ["--producer-id", "-x", "--producer-epoch", "0", "--producer-seq", "0"]
    for (const answer of [{ count: lines.length }, { repeated: true, producer: { epoch: 0, seq: 0 } }]) {
      const { code, stdout } = await room.ds(
        ["stream", "append", "-n", "a", "-i", "json", ...producer, "--close"],
        { input: lines.join("\n") }
      )
      expect({ code, answer: JSON.parse(stdout) as unknown }).toMatchObject({
        code: 0,
        answer: { ...answer, nextOffset: "0000000000003000" }
      })
    }
    expect((await kept(room, "a")).length).toBe(lines.length)
    expect(await info(room, "a")).toMatchObject({ closed: true })
  })

  it("prints no event if none was appended", async ({ room }) => {
    const flags = ["append", "-n", "a", "-e", "1", "--producer-id", "p", "--producer-epoch", "0", "--producer-seq", "0"]
    await stream(room, ...flags)
    for (const output of ["raw", "pretty"]) expect(await stream(room, ...flags, "-o", output)).toBe("")
  })

  it("is refused at once if it cannot be valid, and no server is started", async ({ room }) => {
    const wrong = [
      ["--producer-id", "p", "--producer-seq", "0"],
      ["--producer-epoch", "0", "--producer-seq", "0"],
      ["--producer-id", "ü", "--producer-epoch", "0", "--producer-seq", "0"],
      ["--producer-id", "p", "--producer-epoch", "-1", "--producer-seq", "0"],
      ["--seq", " a"],
      ["--if-match", ""]
    ]
    for (const flags of wrong) {
      expect(await room.ds(["stream", "append", "-n", "a", "-m", "x", ...flags, "--no-start"])).toMatchObject({
        code: 2,
        stdout: ""
      })
    }
  })
})

describe("a stream of bytes", () => {
  it("is printed raw as the bytes that were sent, whether they are stored already or come later", async ({ room }) => {
    await stream(room, "create", "-n", "a", "--content-type", "application/octet-stream")
    const sent = [Buffer.from("text"), Buffer.of(0xff, 0x00, 0x0a), Buffer.from("\"ü\"\n")]
    const follower = room.sh("durable-streams stream subscribe -n a -o raw --offset -1 -l 3 | od -An -tx1")
    for (const body of sent) {
      const answer = await fetch(`${room.url}/v1/stream/a`, {
        method: "POST",
        headers: { "content-type": "application/octet-stream" },
        body
      })
      expect(answer.status).toBe(204)
    }
    const hex = Buffer.concat(sent).toString("hex").replaceAll(/../g, " $&")
    expect((await follower.ended).stdout).toBe(`${hex}\n`)
    expect((await room.sh("durable-streams stream get -n a -o raw | od -An -tx1").ended).stdout).toBe(`${hex}\n`)
    expect(await kept(room, "a")).toEqual(["text", { base64: "/wAK" }, "\"ü\"\n"])
  })

  it("takes a message as its text, and no JSON", async ({ room }) => {
    await stream(room, "create", "-n", "a", "--content-type", "text/plain", "-m", "one ")
    expect((await room.ds(["stream", "close", "-n", "a", "-e", "{}"])).code).toBe(2)
    await stream(room, "append", "-n", "a", "-m", "two ")
    await stream(room, "append", "-n", "a", "-e", "\"three \"")
    expect((await room.ds(["stream", "append", "-n", "a", "-e", "{}"])).code).toBe(5)
    await stream(room, "close", "-n", "a", "-m", "four")
    expect(await stream(room, "get", "-n", "a", "-o", "raw")).toBe("one two three four")
  })
})

describe("a refusal", () => {
  it("ends with the code of its own kind if the status could mean two things", () => {
    expect([codeOf(403, "AccessRefused"), codeOf(403, "ProducerFenced")]).toEqual([4, 5])
    expect([codeOf(410, "StreamDeleted"), codeOf(410, "StreamGone")]).toEqual([3, 5])
    expect([codeOf(409, "ProducerGap"), codeOf(409, "SourceGone"), codeOf(404, "StreamNotFound")]).toEqual([5, 5, 3])
  })
})

const codeOf = (status: number, type: string) =>
  endingOf(Exit.fail(new ServerRefused({ status, message: "", problem: { type: `urn:durable-streams:${type}` } }))).code
