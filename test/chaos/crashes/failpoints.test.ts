/**
 * A server dies at its failpoint, and the next server repairs the half-finished work.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { build, builtMain } from "../../support/built.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { nativeDoor } from "../clients/doors.ts"
import { buildFailing } from "./failpoints.ts"

build()

describe("failpoints", () => {
  it("a failpoint kills the server in the middle of a commit, and the next server cuts the torn commit off", async () => {
    const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-failpoint-"))
    const server = await ServerProcess.make(directory)
    const failingAt = await buildFailing(directory)
    const append = async (key: string) => (await nativeDoor.append(server.port, "a", { keys: [key] })).outcome
    await server.start(failingAt("mid-write:2"))
    assert.deepStrictEqual([await append("0"), await append("1"), await append("2")], ["ok", "ok", "unknown"])
    assert.strictEqual(await server.ended(), null)
    assert.isFalse(fs.readFileSync(Path.join(server.directory, "streams/a.json"), "utf8").endsWith("\n"))
    await server.start()
    assert.strictEqual(await append("3"), "ok")
    const keys = (await nativeDoor.read(server.port, "a", 0))?.events.map(({ key }) => key)
    assert.deepStrictEqual(keys, ["0", "1", "3"])
    await server.kill()
    fs.rmSync(directory, { recursive: true })
  })

  it("the server refuses an unknown failpoint with a sentence", async () => {
    const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-failpoint-"))
    const server = await ServerProcess.make(directory)
    const failingAt = await buildFailing(directory)
    server.launch(failingAt("nowhere"))
    assert.strictEqual(await server.ended(), 1)
    assert.match(server.log, /^FAILPOINT names no failpoint: nowhere\.$/m)
    fs.rmSync(directory, { recursive: true })
  })

  it("the shipped program knows no failpoint, so no variable can make it kill itself", () => {
    const shipped = Path.dirname(builtMain)
    for (const file of fs.readdirSync(shipped)) {
      const text = fs.readFileSync(Path.join(shipped, file), "utf8")
      assert.notMatch(text, /FAILPOINT/i, file)
      for (const point of ["mid-write", "before-ack", "during-shutdown"]) assert.notInclude(text, point, file)
    }
  })
})
