/**
 * The output of the command line: a write that fails is an error, and no text that a terminal would obey gets to one.
 */
import * as fs from "node:fs"
import { describe, expect } from "vitest"
import { it, linesOf, type Room } from "../support/room.ts"

const told = (reason: string) =>
  `Could not write the output: ${reason}. What reached stdout is not whole; what the command changed is kept.\n`

const commands = [
  "stream append -n a -m x",
  "stream append -n a -o pretty -m x",
  "stream get -n a",
  "stream get -n a -o raw",
  "stream get -n a -f",
  "stream subscribe -n a --offset -1",
  "stream list",
  "stream list --json",
  "stream info -n a",
  "stream info -n a --json",
  "server status",
  "server status --json",
  "doctor",
  "doctor -o json",
  "verify",
  "--help",
  "stream append --help",
  "--version",
  "--completions bash"
]

describe("output that cannot be written", () => {
  it("Promise 11: ends every command with code 1 and a sentence, even if all of it is one write", async ({ room }) => {
    await room.ds(["stream", "append", "-n", "a", "-m", "first"])
    for (const command of commands) {
      const { code, stderr } = await room.sh(`durable-streams ${command} > /dev/full`).ended
      const sentences = stderr.replace(/^A server is using this data directory.*\n/, "")
      expect({ command, code, sentences }).toEqual({ command, code: 1, sentences: told("the disk is full (ENOSPC)") })
    }
    for (const command of ["server stop", "server start"]) {
      expect((await room.sh(`durable-streams ${command} > /dev/full`).ended).code).toBe(1)
    }
  })

  it("Promise 11: is reported if a file takes a part of the last write, as on a disk that is nearly full", async ({ room }) => {
    await room.ds(["stream", "append", "-n", "a", "-m", "x".repeat(3000)])
    // 2 KiB of room for one write of 3 KB: Node's own stream would take the first part for the whole.
    const { code, stderr } = await room.sh("ulimit -f 2; durable-streams stream get -n a -o raw > got").ended
    expect({ code, stderr }).toEqual({ code: 1, stderr: told("the file may not grow further (EFBIG)") })
    expect(fs.statSync(`${room.directory}/got`).size).toBe(2048)
  })

  it("does not undo the events that lines of stdin became before, and is reported once", async ({ room }) => {
    const { code, stderr } = await room.sh("echo one | durable-streams stream append -n a --data-dir d > /dev/full")
      .ended
    expect({ code, stderr: linesOf(stderr).slice(1) }).toEqual({
      code: 1,
      stderr: [told("the disk is full (ENOSPC)").trim()]
    })
    const { stdout } = await room.ds(["stream", "get", "-n", "a", "-o", "raw", "--data-dir", "d"])
    expect(stdout).toBe("{\"type\":\"message\",\"text\":\"one\"}\n")
  })
})

/** As bytes, so that no layer on the way escapes them: CSI and OSC of C1, DEL, an override, a mark, a separator. */
const evil = "\u009b31mRED\u009d0;title\u0007\u007f\u202eevil\u2066\u200f\u2028end"
const seen = "\\u009b31mRED\\u009d0;title\\u0007\\u007f\\u202eevil\\u2066\\u200f\\u2028end"

const post = async (room: Room, name: string, contentType: string, body: string | Uint8Array<ArrayBuffer>) => {
  const path = contentType === "application/json" ? "streams" : "v1/stream"
  const method = contentType === "application/json" ? "POST" : "PUT"
  const answer = await fetch(`${room.url}/${path}/${name}`, {
    method,
    headers: { "content-type": contentType },
    body
  })
  expect(answer.status).toBe(201)
}

describe("text that a terminal would obey", () => {
  it("is shown and not obeyed, in every format; a pipe gets json and raw as they are", async ({ room }) => {
    await room.ds(["server", "start"])
    const data = `{"type":"message","text":"${evil.replace("\u0007", "\\u0007")}"}`
    await post(room, "a", "application/json", `{"data":${data}}`)
    for (const format of ["json", "raw", "pretty"]) {
      for (const command of [`stream get -n a -o ${format}`, `stream subscribe -n a --offset -1 -l 1 -o ${format}`]) {
        const { stdout } = await room.onTerminal(command, { NO_COLOR: "1" })
        expect(stdout).toContain(seen)
        // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
        expect(stdout).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
      }
    }
    const onTerminal = (await room.onTerminal("stream get -n a -o raw")).stdout
    expect(JSON.parse(onTerminal)).toEqual(JSON.parse(data))
    expect((await room.ds(["stream", "get", "-n", "a", "-o", "raw"])).stdout).toBe(`${data}\n`)
    expect((await room.ds(["stream", "get", "-n", "a", "-o", "pretty"])).stdout).toContain(seen)
  })

  it("is shown as text if it comes from a stream of bytes, and a pipe gets the bytes", async ({ room }) => {
    await room.ds(["server", "start"])
    const bytes = Buffer.concat([Buffer.from("caf"), Buffer.of(0xe9), Buffer.from(" \u001b[31m\u009b\r\nok\n")])
    await post(room, "b", "text/plain", bytes)
    expect((await room.onTerminal("stream get -n b -o raw")).stdout).toBe("caf\ufffd \\u001b[31m\\u009b\r\nok\r\n")
    const piped = await room.sh("durable-streams stream get -n b -o raw | od -An -tx1 | tr -d ' \\n'").ended
    expect(piped.stdout).toBe(bytes.toString("hex"))
  })

  it("in a name, if it turns the line around, is escaped for eyes, and given unescaped to programs by --json", async ({ room }) => {
    const name = "a\u202eb"
    await room.ds(["stream", "append", "-n", name, "-m", "x"])
    expect((await room.ds(["stream", "list"])).stdout).toBe("a\\u202eb\n")
    expect(JSON.parse((await room.ds(["stream", "list", "--json"])).stdout)).toEqual({ streams: [name] })
    expect((await room.onTerminal("stream list --json")).stdout).toBe("{\"streams\":[\"a\\u202eb\"]}\r\n")
    expect((await room.ds(["stream", "delete", "-n", name])).stderr).toBe("Deleted a\\u202eb\n")
  })
})

describe("the pretty format", () => {
  it("says which day it is, in UTC, when the day changes", async ({ room }) => {
    await room.ds(["stream", "append", "-n", "a", "-i", "json"], { input: "1\n2\n" })
    const { stdout } = await room.ds(["stream", "get", "-n", "a", "-o", "pretty"])
    expect(stdout).toMatch(
      /^ {8}\d{4}-\d\d-\d\d UTC\n {5}0 {2}\d\d:\d\d:\d\d {2}1\n(?: {8}\d{4}-\d\d-\d\d UTC\n)? {5}1 {2}\d\d:\d\d:\d\d {2}2\n$/
    )
  })
})
