/**
 * Arguments that the program cannot take as they were typed: it refuses them, and does not do something else instead.
 */
import * as fs from "node:fs"
import { describe, expect } from "vitest"
import { it } from "../support/room.ts"

describe("bytes that are not UTF-8", () => {
  it("are refused in every argument and variable, and nothing is made or kept", async ({ room }) => {
    const lines = [
      "stream append -n a -m $'caf\\xe9'",
      "stream append -n a -e $'\"caf\\xe9\"'",
      "stream append -n $'caf\\xe9' -m x",
      "stream list --data-dir $'caf\\xe9'",
      "stream list --prefix $'\\xff'"
    ]
    for (const line of lines) {
      const { code, stderr, stdout } = await room.sh(`durable-streams ${line}`).ended
      expect({ line, code, stdout }).toEqual({ line, code: 2, stdout: "" })
      expect(stderr).toMatch(/^The argument ".*\ufffd.*" holds bytes that are not UTF-8\. Write it in UTF-8; .*\n$/)
    }
    const { code, stderr } = await room.sh("DURABLE_STREAMS_DATA_DIR=$'caf\\xe9' durable-streams stream list").ended
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "The value of DURABLE_STREAMS_DATA_DIR holds bytes that are not UTF-8. Write it in UTF-8.\n"
    })
    expect(fs.readdirSync(room.directory)).toEqual([])
  })

  it("are not the same as a U+FFFD that was typed", async ({ room }) => {
    expect(await room.ds(["stream", "append", "-n", "a", "-m", "caf\ufffd"])).toMatchObject({ code: 0 })
    const { stdout } = await room.ds(["stream", "get", "-n", "a", "-o", "raw"])
    expect(stdout).toBe("{\"type\":\"message\",\"text\":\"caf\ufffd\"}\n")
  })
})

describe("DURABLE_STREAMS_URL", () => {
  it("is wrong usage with a query, a fragment, a user or a space; a password is not repeated", async ({ room }) => {
    const like = "write it like http://127.0.0.1:3000.\n"
    const cases = {
      "http://host/?x=1#f":
        `DURABLE_STREAMS_URL is "http://host/?x=1#f": a query or a fragment has no meaning there; ${like}`,
      "http://host/?": `DURABLE_STREAMS_URL is "http://host/?": a query or a fragment has no meaning there; ${like}`,
      "http://me@host/": `DURABLE_STREAMS_URL is "http://me@host/": user and password have no meaning there; ${like}`,
      "http://me:secret@host/": `DURABLE_STREAMS_URL: user and password have no meaning there; ${like}`,
      "http://127.0.0.1:1 /": `DURABLE_STREAMS_URL is "http://127.0.0.1:1 /": ${like}`,
      "ftp://host": `DURABLE_STREAMS_URL is "ftp://host": ${like}`
    }
    for (const [url, stderr] of Object.entries(cases)) {
      for (const command of [["stream", "list"], ["stream", "append", "-n", "a", "-m", "x"], ["doctor"]]) {
        expect(await room.ds(command, { env: { DURABLE_STREAMS_URL: url } })).toMatchObject({ code: 2, stderr })
      }
    }
  })
})
