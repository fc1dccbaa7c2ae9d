/**
 * The health that a server reports, and its survival: a flood of new streams in a small heap, and a data directory that
 * is missing, full or forbidden.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect } from "vitest"
import { builtMain } from "../support/built.ts"
import { it, type Room } from "../support/room.ts"
import { request, Wire } from "../support/wire.ts"

const started = async (room: Room, node: ReadonlyArray<string> = [], more: ReadonlyArray<string> = []) => {
  const run = ["server", "run", "--port", "0", "--data-dir", "data", ...more]
  const process = room.spawn(globalThis.process.execPath, [...node, builtMain, ...run])
  await process.told("Listening")
  const url = /url=(\S+)/.exec(process.stderr)![1]!
  const health = async () => {
    const response = await fetch(`${url}/health`)
    const body = await response.json() as {
      readonly status: string
      readonly reason?: string
      readonly pid: number
      readonly limits: Readonly<Record<string, number>>
      readonly usage: Readonly<Record<string, number>>
    }
    return { ...body, answered: response.status }
  }
  const append = async (stream: string) => {
    const { status } = await fetch(`${url}/streams/${stream}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"data":1}`
    })
    return status
  }
  return { process, url, port: Number(new URL(url).port), health, append }
}

/** Asks until the answer is right; if it never is, the last answer is shown. */
const until = async <A>(ask: () => Promise<A>, isSo: (answer: A) => boolean): Promise<A> => {
  for (let left = 100;; left--) {
    const answer = await ask()
    if (isSo(answer) || left === 0) return answer
    await sleep(50)
  }
}

describe("a flood of new streams", () => {
  it("Promise 7: does not end a server whose heap is too small to have them all awake", async ({ room }) => {
    const heap = ["--max-old-space-size=32", "--max-semi-space-size=1"]
    const server = await started(room, heap, ["--durability", "os"])
    const wire = await Wire.open(server.port)
    const streams = 1_500
    const atOnce = 50
    const statuses = new Set<number>()
    for (let i = 0; i < streams; i += atOnce) {
      const names = Array.from({ length: atOnce }, (_, k) => `/v1/stream/many/${i + k}`)
      wire.send(names.map((name) => request("PUT", name, { "Content-Type": "application/json" }, "[1]")).join(""))
      for (const _ of names) statuses.add((await wire.reply("PUT")).status)
    }
    wire.close()
    expect([...statuses]).toEqual([201])
    const { limits, usage } = await server.health()
    expect(usage["streams"]).toBe(streams)
    expect(limits["awakeMax"]).toBeLessThan(400)
    expect(usage["awakeStreams"]).toBe(limits["awakeMax"])
    const first = await fetch(`${server.url}/v1/stream/many/0?offset=-1`)
    expect(await first.json()).toEqual([1])
  })

  it("is refused if followers use all streams that may be awake, and goes on when one of them leaves", async ({ room }) => {
    const server = await started(room, [], ["--max-awake", "2"])
    const followers = [new AbortController(), new AbortController()]
    for (const [i, { signal }] of followers.entries()) await fetch(`${server.url}/streams/followed-${i}`, { signal })
    const refused = await fetch(`${server.url}/streams/other`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"data":1}`
    })
    expect(refused.status).toBe(503)
    expect(refused.headers.get("retry-after")).toBe("1")
    expect(await refused.json()).toMatchObject({
      type: "urn:durable-streams:Overloaded",
      limit: 2,
      detail: expect.stringContaining("--max-awake")
    })
    expect(await server.append("followed-1")).toBe(201)
    expect((await server.health()).status).toBe("ok")
    followers[0]!.abort()
    expect(await until(() => server.append("other"), (status) => status === 201)).toBe(201)
    followers[1]!.abort()
  })
})

describe("/health", () => {
  it("fails while the data directory is gone, with the way out, and is ok when it is back", async ({ room }) => {
    const server = await started(room)
    expect(await server.append("a")).toBe(201)
    expect(await server.health()).toMatchObject({ status: "ok", answered: 200 })
    const data = Path.join(room.directory, "data")
    fs.renameSync(data, `${data}.away`)
    expect(await server.append("b")).toBe(503)
    const failing = await server.health()
    expect(failing).toMatchObject({ status: "failing", answered: 503, pid: server.process.pid })
    expect(failing.reason).toMatch(/^Could not store anything: the data directory is not there any more .*\.$/)
    fs.renameSync(`${data}.away`, data)
    expect(await until(server.health, ({ status }) => status === "ok")).toMatchObject({ answered: 200 })
    expect(await server.append("a")).toBe(201)
    expect(fs.readdirSync(Path.join(data, "streams"))).toEqual(["a.json"])
  })

  it("reports that the directory is gone though no writer appends, and commands find the server all the same", async ({ room }) => {
    const server = await started(room)
    expect(await server.append("a")).toBe(201)
    fs.renameSync(Path.join(room.directory, "data/streams"), Path.join(room.directory, "data/elsewhere"))
    expect(await until(server.health, ({ status }) => status === "failing")).toMatchObject({ answered: 503 })
    const status = await room.ds(["server", "status", "--data-dir", "data"])
    expect(status).toMatchObject({ code: 0, stdout: expect.stringContaining(`pid ${server.process.pid}`) })
    expect(status.stderr).toMatch(/^Could not store anything: [^\n]+\n$/)
    fs.renameSync(Path.join(room.directory, "data/elsewhere"), Path.join(room.directory, "data/streams"))
    expect(await until(server.health, ({ status }) => status === "ok")).toMatchObject({ answered: 200 })
  })
})
