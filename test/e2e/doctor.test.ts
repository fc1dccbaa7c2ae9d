/**
 * `doctor` checks everything, and for each problem says how to fix it, whatever state it finds; it changes nothing.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import type * as net from "node:net"
import * as Path from "node:path"
import { describe, expect } from "vitest"
import { version } from "../../src/domain/version.ts"
import { checkProxy } from "../../src/durable-streams/doctor/doctor-proxy.ts"
import { checkVersions } from "../../src/durable-streams/doctor/doctor-server.ts"
import { examine } from "../../src/durable-streams/doctor/doctor.ts"
import type { Checked, DoctorOptions } from "../../src/durable-streams/doctor/finding.ts"
import { builtMain } from "../support/built.ts"
import { freePort } from "../support/free-port.ts"
import { it, linesOf, type Room } from "../support/room.ts"

/** The findings of `doctor` about the room's data directory, by check. */
const examined = async (room: Room, options: Partial<DoctorOptions> = {}) => {
  const checks = new Map<string, Checked>()
  const healthy = await examine({
    dataDirectory: room.dataDirectory,
    host: "127.0.0.1",
    port: await freePort(),
    portAsked: false,
    url: undefined,
    onChecked: (checked) => Effect.sync(() => void checks.set(checked.check, checked)),
    ...options
  }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp), Effect.runPromise)
  expect(healthy).toBe([...checks.values()].every(({ status }) => status !== "fail"))
  for (const { advice, status } of checks.values()) expect(advice === undefined).toBe(status === "ok")
  const said = (name: string) => `${checks.get(name)?.status}: ${checks.get(name)?.says}`
  return Object.assign(said, { advice: (name: string) => checks.get(name)?.advice })
}

const node = `Node ${process.versions.node} on ${process.platform} ${process.arch}`

const listen = async (server: net.Server): Promise<number> => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return (server.address() as net.AddressInfo).port
}

/** Everything below a folder, with its bytes. */
const contents = (directory: string): ReadonlyArray<readonly [string, string]> =>
  fs.readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => Path.join(entry.parentPath, entry.name)).toSorted()
    .map((path) => [path, fs.readFileSync(path, "latin1")])

const machine = ["file system", "open files"]

describe("doctor", () => {
  it("finds nothing wrong with an unused folder, nor with a running server, and changes neither", async ({ room }) => {
    const unused = await examined(room)
    expect(unused("data directory")).toMatch(/^ok: .* is not there yet/)
    expect(unused("port")).toMatch(/^ok: Port \d+ is free/)
    expect(unused("versions")).toBe(`ok: durable-streams ${version}, ${node}.`)
    const nowhere = `http://127.0.0.1:${await freePort()}`
    const alone = await examined(room, { url: nowhere })
    expect(alone("versions")).toBe(`ok: durable-streams ${version}, ${node}. The server's is not known.`)
    expect(alone("proxy")).toBe(`fail: ${nowhere} could not be used.`)
    expect(fs.readdirSync(room.directory)).toEqual([])
    await room.ds(["stream", "append", "-n", "a", "-m", "x"])
    const before = contents(room.dataDirectory)
    const env = { DURABLE_STREAMS_URL: room.url }
    const { code, stderr, stdout } = await room.ds(["doctor", "-o", "json"], { env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const checks = linesOf(stdout).map((line) => JSON.parse(line) as Checked)
    expect(checks.filter(({ check, status }) => status !== "ok" && !machine.includes(check))).toEqual([])
    expect(checks.find(({ check }) => check === "lock")!.says).toBe(`pid ${room.pid} holds it, the server.`)
    expect(checks.find(({ check }) => check === "proxy")!.says).toContain("at once")
    expect(checks.find(({ check }) => check === "versions")!.says).toContain(`and so is the server at ${room.url};`)
    expect(contents(room.dataDirectory)).toEqual(before)
  })

  it("names a data directory that cannot be written to, and ends with 1", async ({ room, skip }) => {
    room.write("lock", "")
    fs.chmodSync(room.dataDirectory, 0o555)
    fs.chmodSync(room.directory, 0o755)
    // Nothing is read-only to root.
    const asNobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []
    const [command, ...args] = [...asNobody, process.execPath, builtMain, "doctor"]
    try {
      execFileSync(command!, [...args.slice(0, -1), "--version"])
    } catch {
      skip("no other user can run the program here")
    }
    const { code, stdout } = await room.spawn(command!, args).ended
    expect(stdout).toMatch(/^fail {2}data directory: .* cannot be written to \(EACCES\)\. Make it yours: /m)
    expect(code).toBe(1)
  })

  it("names a link to nowhere, at the data directory or above it, on which a start fails", async ({ room }) => {
    fs.symlinkSync("gone", room.dataDirectory)
    for (const dataDirectory of [room.dataDirectory, Path.join(room.dataDirectory, "below")]) {
      const found = await examined(room, { dataDirectory })
      expect(found("data directory")).toBe(
        `fail: ${room.dataDirectory} is a link to gone, which cannot be reached (ENOENT).`
      )
      expect(found.advice("data directory")).toBe(
        "Make what it leads to, take it away, or choose another directory with --data-dir."
      )
      expect((await room.ds(["server", "start", "--data-dir", dataDirectory])).code).toBe(1)
    }
    expect(fs.readdirSync(room.directory)).toEqual([".iterate"])
    fs.mkdirSync(Path.join(room.directory, "gone"))
    expect((await examined(room))("data directory")).toMatch(/^(?:ok|warn): /)
  })

  it("says how many files the running server may have open, and not how many doctor itself may have", async ({ room }) => {
    const server = room.sh("ulimit -n 200; durable-streams server run --port 0")
    await server.told("Listening")
    const found = await examined(room)
    expect(found("open files")).toBe(`fail: The server (pid ${room.pid}) may have 200 open.`)
    expect(found.advice("open files")).toMatch(/ulimit -n 65536, then: durable-streams server restart$/)
  })

  it("names files that other users can read, and the way to close them", async ({ room }) => {
    room.write("daemon.log", "")
    fs.chmodSync(room.dataDirectory, 0o700)
    fs.chmodSync(Path.join(room.dataDirectory, "daemon.log"), 0o644)
    expect((await examined(room))("data directory")).toMatch(/^warn: Other users .* can use .*daemon\.log\.$/)
  })

  it("says that a port belongs to a stranger, and that this only fails if the user asked for the port", async ({ room }) => {
    const stranger = http.createServer((_, response) => response.end("hello"))
    const port = await listen(stranger)
    expect((await examined(room, { port }))("port")).toBe(`warn: Port ${port} is taken by a stranger.`)
    expect((await examined(room, { port, portAsked: true }))("port")).toBe(`fail: Port ${port} is taken by a stranger.`)
    stranger.close()
  })

  it("says that a left-over pid file needs no action, whatever process has the number now", async ({ room }) => {
    for (const pid of [process.pid, 2 ** 22 + 1, "garbage"]) {
      room.write("daemon.pid", `${pid}\n`)
      room.write("daemon.port", `${await freePort()}\n`)
      expect((await examined(room))("daemon")).toMatch(/^warn: None is running; .*daemon\.pid was left behind/)
    }
  })

  it("tells a server that does not answer from a missing one, one of another version, and one of another directory", async ({ room }) => {
    const { stdout } = await room.ds(["server", "start", "--port", "0"])
    const pid = room.pid
    const port = Number(room.read("daemon.port"))
    const elsewhere = await examined(room, { dataDirectory: room.directory, port })
    expect(elsewhere("port")).toBe(
      `warn: Port ${port} is taken by a durable-streams server (pid ${pid}) with its data in ${room.dataDirectory}.`
    )
    fs.rmSync(Path.join(room.dataDirectory, "daemon.port"))
    const mute = await examined(room)
    expect(stdout).toContain(String(pid))
    expect(mute("lock")).toBe(`ok: pid ${pid} holds it.`)
    expect(mute("daemon")).toBe("fail: A server holds the lock and does not answer.")
    const health = { ...(await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as object, version: "0.0.9" }
    const old = http.createServer((_, response) =>
      response.setHeader("content-type", "application/json").end(JSON.stringify(health))
    )
    room.write("daemon.port", `${await listen(old)}\n`)
    expect((await examined(room))("daemon")).toBe("fail: A server holds the lock and does not answer.")
    // An earlier version wrote no such file.
    fs.rmSync(Path.join(room.dataDirectory, "daemon.secret"))
    const local = await examined(room)
    expect(local("daemon")).toMatch(/^ok: It answers at .* version 0\.0\.9\.$/)
    expect(local("versions")).toBe(`warn: durable-streams ${version}, the server at ${room.url} 0.0.9; ${node}.`)
    expect(local.advice("versions")).toBe("Let this version take over: durable-streams server restart")
    expect(
      await Effect.runPromise(checkVersions(room.url, undefined).pipe(Effect.provide(NodeHttpClient.layerNodeHttp)))
    )
      .toEqual({
        status: "warn",
        says: `durable-streams ${version}, the server at ${room.url} 0.0.9; ${node}.`,
        advice: "Install the same version here and there."
      })
    old.closeAllConnections()
    old.close()
  })

  it("names damage: in a log, in a lock, in the directory itself", async ({ room }) => {
    room.write("streams/../lock", "this is no lock".repeat(100))
    fs.mkdirSync(Path.join(room.dataDirectory, "streams"))
    room.write("streams/a.json", `{"format":1,"eventStreamId":"a"}\n`)
    const damaged = await examined(room)
    expect(damaged("logs")).toBe("fail: 1 of 1 log is damaged: a.json.")
    expect(damaged("lock")).toMatch(/^fail: .*lock cannot be locked/)
    fs.rmSync(room.dataDirectory, { recursive: true })
    fs.writeFileSync(room.dataDirectory, "")
    const file = await examined(room)
    expect(file("data directory")).toMatch(/^fail: .* is no directory\.$/)
    const below = await examined(room, { dataDirectory: Path.join(room.dataDirectory, "below", "it") })
    expect(below("data directory")).toMatch(/^fail: .* cannot be made in .*\.iterate \(ENOTDIR\)\.$/)
    expect(file("logs")).toMatch(/^fail: .* failed with ENOTDIR\.$/)
  })

  it("measures whether a proxy in between passes events on as they come", async ({ room }) => {
    await room.ds(["server", "start", "--port", "0"])
    const through = async (pass: (chunk: Buffer, response: http.ServerResponse) => void, patience = 5_000) => {
      const proxy = http.createServer((request, response) => {
        const { headers, method, url } = request
        const onward = http.request(room.url + url, { method, headers }, (answer) => {
          if (!String(answer.headers["content-type"]).includes("event-stream")) {
            response.writeHead(answer.statusCode!, answer.headers)
            answer.pipe(response)
          } else {
            answer.on("data", (chunk: Buffer) => pass(chunk, response))
          }
        })
        onward.on("error", () => response.destroy())
        response.on("close", () => onward.destroy())
        request.pipe(onward)
      })
      const url = `http://127.0.0.1:${await listen(proxy)}`
      const finding = await Effect.runPromise(
        checkProxy(url, patience).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
      )
      proxy.closeAllConnections()
      proxy.close()
      return finding
    }
    const findings = await Promise.all([
      through((chunk, response) => response.write(chunk)),
      through((chunk, response) => setTimeout(() => response.write(chunk), 600)),
      through(() => {}, 200)
    ])
    expect(findings.map(({ status }) => status)).toEqual(["ok", "warn", "fail"])
    expect(findings[1].advice).toContain("proxy_buffering off")
    expect(findings[2].says).toContain("do not arrive")
    expect(await (await fetch(`${room.url}/streams`)).json()).toEqual({ streams: [] })
  })
})
