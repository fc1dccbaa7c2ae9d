/**
 * Disks that are full, read-only, forbidden or broken, under the real program: a small tmpfs in a mount namespace of
 * its own, another user, and system calls that `strace` makes fail. If the machine does not permit that, a test is
 * skipped and says why.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect, type TestContext } from "vitest"
import { builtMain } from "../support/built.ts"
import { dataOf, it, linesOf, type Room, type Running, until } from "../support/room.ts"
import { request, Wire } from "../support/wire.ts"

/** A server in the foreground, its requests and its output. */
class Server {
  readonly process: Running
  readonly url: string
  readonly acknowledged: Array<unknown> = []

  private constructor(process: Running, url: string) {
    this.process = process
    this.url = url
  }

  static async of(process: Running): Promise<Server> {
    await process.told("Listening")
    return new Server(process, /url=(\S+)/.exec(process.stderr)![1]!)
  }

  get pid(): number {
    return Number(/ pid=(\d+)/.exec(this.process.stderr)![1])
  }

  async append(data: unknown, stream = "a") {
    const response = await fetch(`${this.url}/streams/${stream}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ data })
    })
    const { detail = "" } = await response.json() as { readonly detail?: string }
    if (response.status === 201 && stream === "a") this.acknowledged.push(data)
    return { status: response.status, detail }
  }

  async events(): Promise<ReadonlyArray<unknown>> {
    const response = await fetch(`${this.url}/streams/a/events`, { headers: { accept: "application/x-ndjson" } })
    expect(response.status).toBe(200)
    return dataOf(linesOf(await response.text()))
  }

  async stop(): Promise<void> {
    process.kill(this.pid, "SIGTERM")
    expect((await this.process.ended).code).toBe(0)
  }
}

const run = ["server", "run", "--port", "0", "--data-dir", "data"]

const follow = (room: Room, { url }: Server) =>
  room.start(["stream", "subscribe", "-n", "a", "--offset", "-1", "-o", "raw"], { env: { DURABLE_STREAMS_URL: url } })

const shown = ({ lines }: Running): ReadonlyArray<unknown> => lines.map((line) => JSON.parse(line) as unknown)

describe("a full disk", () => {
  it("Promise 11: gives 507 and a sentence, loses no acknowledged event, and takes appends within a second of having space", async ({ room, skip }) => {
    const disk = await smallDisk(room, skip)
    const server = await Server.of(disk.run(run))
    const follower = follow(room, server)
    await server.append("first")
    fs.writeFileSync(disk.path("filler"), Buffer.alloc(3 * 1024 * 1024))
    let refusal = { status: 201, detail: "" }
    for (let i = 0; refusal.status === 201; i++) refusal = await server.append({ i, text: "x".repeat(16 * 1024) })
    expect(refusal.status).toBe(507)
    expect(refusal.detail).toMatch(
      /^Could not .*: no space is left .* Nothing was stored; free some space and try again\.$/
    )

    expect((await server.append({ text: "x".repeat(16 * 1024) })).status).toBe(507)
    expect((await server.append({ text: "x".repeat(16 * 1024) }, "another")).status).toBe(507)
    const told = await room.ds(["stream", "append", "-n", "a", "-m", "x".repeat(16 * 1024)], {
      env: { DURABLE_STREAMS_URL: server.url }
    })
    expect({ ...told, stderr: told.stderr.replace(/\(.*\)/, "()") }).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "Could not append to \"a\": no space is left (). Nothing was stored; free some space and try again.\n"
    })
    expect(await server.events()).toEqual(server.acknowledged)

    fs.rmSync(disk.path("filler"))
    const from = Date.now()
    expect(await server.append("behind")).toEqual({ status: 201, detail: "" })
    expect(Date.now() - from).toBeLessThan(1000)
    expect((await server.append("elsewhere", "another")).status).toBe(201)
    expect(await server.events()).toEqual(server.acknowledged)
    await until(() => follower.lines.length === server.acknowledged.length, () => "the follower")
    expect(shown(follower)).toEqual(server.acknowledged)

    process.kill(server.pid, "SIGKILL")
    const next = await Server.of(disk.run(run))
    expect(await next.events()).toEqual(server.acknowledged)
    expect((await fetch(`${next.url}/streams/another/events`)).status).toBe(200)
    await next.stop()
    expect(next.process.stderr).not.toMatch(/^\S+ (?:Warn|Error|Fatal)\b/m)
  })

  it("does not keep a server from starting: it serves, and appends when there is space", async ({ room, skip }) => {
    const disk = await smallDisk(room, skip)
    fs.writeFileSync(disk.path("filler"), Buffer.alloc(4 * 1024 * 1024 - 4096 - 4096))
    fs.writeFileSync(disk.path("more"), Buffer.alloc(4096))
    const server = await Server.of(disk.run(run))
    expect((await server.append("too early")).status).toBe(507)
    fs.rmSync(disk.path("filler"))
    expect((await server.append("first")).status).toBe(201)
  })
})

describe("a disk that cannot be written", () => {
  it("gives 503 and a sentence if it turns read-only under a server, reads go on, and appends work again by themselves", async ({ room, skip }) => {
    const server = await Server.of(failing(room, skip, "pwrite64", "EROFS", "3..6"))
    const statuses: Array<number> = []
    for (let i = 0; i < 12; i++) {
      const { detail, status } = await server.append(i)
      statuses.push(status)
      if (status !== 201) {
        expect(detail).toMatch(
          /^Could not append to "a": the file system is read-only \(write of .* failed with EROFS\)\.$/
        )
      }
      expect(await server.events()).toEqual(server.acknowledged)
    }
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(0)
    expect(statuses.slice(-4)).toEqual([201, 201, 201, 201])
    await server.stop()
    expect(await (await Server.of(room.start(run))).events()).toEqual(server.acknowledged)
  })

  it("refuses new streams only, if only its folder of streams cannot be written, until it can", async ({ room, skip }) => {
    const nobody = asNobody(room, skip)
    const streams = Path.join(room.directory, "data/streams")
    fs.chmodSync(room.directory, 0o777)
    const server = await Server.of(nobody([builtMain, ...run]))
    expect((await server.append("first")).status).toBe(201)
    fs.chmodSync(streams, 0o500)
    const refused = await server.append("x", "new")
    expect(refused.status).toBe(503)
    expect(refused.detail).toMatch(/^Could not .* "new": this user may not use the file \(.* failed with EACCES\)\.$/)
    expect((await server.append("second")).status).toBe(201)
    fs.chmodSync(streams, 0o700)
    expect((await server.append("x", "new")).status).toBe(201)
    expect(await server.events()).toEqual(["first", "second"])
  })

  it("gives one sentence and code 1 if the data directory cannot be made or used, and nothing is left behind", async ({ room, skip }) => {
    const nobody = asNobody(room, skip)
    fs.chmodSync(room.directory, 0o755)
    fs.mkdirSync(Path.join(room.directory, "owned"), { mode: 0o755 })
    fs.writeFileSync(Path.join(room.directory, "file"), "")
    fs.symlinkSync("nowhere/at/all", Path.join(room.directory, "link"))
    for (const directory of ["data", "owned", "owned/below", "file", "file/below", "link"]) {
      const [run, start, append] = [["server", "run"], ["server", "start"], ["stream", "append", "-n", "a", "-m", "x"]]
      for (const command of directory === "owned" ? [run, start, append] : directory === "link" ? [append] : [run]) {
        const { code, stderr, stdout } = await nobody([builtMain, ...command, "--data-dir", directory]).ended
        expect({ directory, command, code, stdout }).toEqual({ directory, command, code: 1, stdout: "" })
        expect(stderr).toMatch(/^Could not [^\n]+(?:--data-dir\.|write to it\?)\n$/)
      }
    }
    expect(fs.readdirSync(room.directory).toSorted()).toEqual(["file", "link", "owned"])
    expect(fs.readdirSync(Path.join(room.directory, "owned"))).toEqual([])
  })
})

describe("a process with few files", () => {
  it("has more streams than files: they take turns, and every append is taken", async ({ room, skip }) => {
    skip(!onPath("prlimit"), "there is no prlimit on this machine")
    const server = await Server.of(room.spawn("prlimit", ["--nofile=96:96", process.execPath, builtMain, ...run]))
    for (let i = 0; i < 120; i++) {
      expect(await server.append(i, `stream-${i}`)).toEqual({ status: 201, detail: "" })
    }
    const again = await Promise.all(Array.from({ length: 20 }, (_, i) => server.append("again", `stream-${i}`)))
    expect(again.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 201))
    await server.stop()
  })

  it("under a flood of connections still opens logs for every connected client", async ({ room, skip }) => {
    skip(!onPath("prlimit"), "there is no prlimit on this machine")
    const server = await Server.of(room.spawn("prlimit", ["--nofile=128:128", process.execPath, builtMain, ...run]))
    const port = Number(new URL(server.url).port)
    const connected = await Wire.open(port)
    const append = (stream: number) =>
      connected.send(
        request("POST", `/streams/stream-${stream}`, { "Content-Type": "application/json" }, `{"data":1}`)
      ).reply()
    for (let i = 0; i < 40; i++) expect((await append(i)).status).toBe(201)
    const flood = Array.from({ length: 300 }, () => net.connect(port, "127.0.0.1").on("error", () => {}))
    await sleep(300)
    for (let i = 0; i < 80; i++) expect((await append(i)).status).toBe(201)
    for (const socket of flood) socket.destroy()
    connected.close()
    await server.stop()
  })
})

describe("a disk that fails to flush", () => {
  it("Promise 2: loses only events that were neither acknowledged nor shown, later appends work, and a restart finds every acknowledged one", async ({ room, skip }) => {
    const server = await Server.of(failing(room, skip, "fdatasync", "EIO", "2+3"))
    const follower = follow(room, server)
    const statuses: Array<number> = []
    for (let i = 0; i < 20; i++) {
      const { detail, status } = await server.append(i)
      statuses.push(status)
      if (status !== 201) {
        expect(detail).toMatch(/^Could not .* "a": the disk failed \(fdatasync of .* failed with EIO\)\.$/)
      }
      expect(await server.events()).toEqual(server.acknowledged)
    }
    const failed = statuses.filter((status) => status === 500).length
    expect(failed).toBeGreaterThan(1)
    expect(statuses.filter((status) => status === 201)).toHaveLength(20 - failed)
    await until(() => follower.lines.length >= server.acknowledged.length, () => "the follower")
    expect(shown(follower)).toEqual(server.acknowledged)
    process.kill(server.pid, "SIGKILL")
    await server.process.ended
    const next = await Server.of(room.start(run))
    expect(await next.events()).toEqual(server.acknowledged)
  })
})

type Skip = TestContext["skip"]

/** Four megabytes that only processes of this room see. */
const smallDisk = async (room: Room, skip: Skip) => {
  const mountPoint = Path.join(room.directory, "disk")
  fs.mkdirSync(mountPoint)
  const holder = room.spawn("unshare", [
    "-m",
    "--propagation",
    "private",
    "sh",
    "-c",
    `mount -t tmpfs -o size=4m tmpfs '${mountPoint}' && echo mounted && exec sleep 1000`
  ])
  const ended = await Promise.race([holder.ended.catch(String), holder.line(1)])
  skip(!Array.isArray(ended), `a tmpfs may not be mounted here: ${JSON.stringify(ended)}`)
  return {
    /** The path of one of its files, as processes outside see it. */
    path: (name: string) => Path.join(`/proc/${holder.pid}/root${mountPoint}`, name),
    run: (args: ReadonlyArray<string>) =>
      room.spawn("nsenter", [
        `--mount=/proc/${holder.pid}/ns/mnt`,
        `--wd=${mountPoint}`,
        process.execPath,
        builtMain,
        ...args
      ])
  }
}

/** A server whose log files meet an error at some calls; one thread does them all, so that they can be counted. */
const failing = (room: Room, skip: Skip, call: string, error: string, when: string): Running => {
  skip(!onPath("strace"), "there is no strace on this machine")
  return room.spawn("strace", [
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    `trace=${call}`,
    "-e",
    `inject=${call}:error=${error}:when=${when}`,
    process.execPath,
    builtMain,
    ...run
  ], { env: { UV_THREADPOOL_SIZE: "1" } })
}

const asNobody = (room: Room, skip: Skip) => {
  skip(process.getuid?.() !== 0 || !onPath("setpriv"), "another user can only be had by root, with setpriv")
  return (args: ReadonlyArray<string>): Running =>
    room.spawn("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, ...args])
}

const onPath = (command: string): boolean =>
  process.env["PATH"]!.split(Path.delimiter).some((directory) => fs.existsSync(Path.join(directory, command)))
