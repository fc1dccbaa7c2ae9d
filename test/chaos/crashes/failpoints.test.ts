/**
 * A server dies where it is told to, and the next one makes good what is half done.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { build } from "../../support/built.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { nativeDoor } from "../clients/doors.ts"

build()

describe("a failpoint", () => {
  it("has the server die in the middle of a commit, which the next one cuts off", async () => {
    const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-failpoint-"))
    const server = await ServerProcess.make(directory)
    const append = async (key: string) => (await nativeDoor.append(server.port, "a", { keys: [key] })).outcome
    await server.start({ env: { DURABLE_STREAMS_FAILPOINT: "mid-write:2" } })
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

  it("that is none is refused with a sentence", async () => {
    const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-failpoint-"))
    const server = await ServerProcess.make(directory)
    server.launch({ env: { DURABLE_STREAMS_FAILPOINT: "nowhere" } })
    assert.strictEqual(await server.ended(), 1)
    assert.match(server.log, /^DURABLE_STREAMS_FAILPOINT names no failpoint: nowhere\.$/m)
    fs.rmSync(directory, { recursive: true })
  })
})
