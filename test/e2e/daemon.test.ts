/**
 * The server that a command starts by itself: one for a data directory, found again, told apart from strangers.
 */
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as Path from "node:path"
import { describe, expect } from "vitest"
import type { Health } from "../../src/api/wire.ts"
import { tryLock } from "../../src/data-directory/lock.ts"
import { filesOf } from "../../src/data-directory/paths.ts"
import { version } from "../../src/domain/version.ts"
import { isAlive, it, linesOf, offsetsOf, type Room, until } from "../support/room.ts"

const append = (room: Room, text: string) => room.ds(["stream", "append", "-n", "a", "-m", text])

const oneSentence = /^[^\n]+\.\n$/

describe("one server for a data directory", () => {
  it("Promise 9: twenty commands at once from an empty folder end with one daemon and twenty answers", {
    timeout: 60_000
  }, async ({ room }) => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => append(room, String(i))))
    expect(all.map(({ code, stderr }) => [code, stderr]).filter(([code]) => code !== 0)).toEqual([])
    const offsets = all.flatMap(({ stdout }) => offsetsOf(linesOf(stdout))).toSorted((a, b) => a - b)
    expect(offsets).toEqual(all.map((_, i) => i))
    expect(all.filter(({ stderr }) => /^Started a server at .*\n$/.test(stderr))).toHaveLength(1)
    expect(all.filter(({ stderr }) => stderr === "")).toHaveLength(19)
    expect(room.servers()).toEqual([room.pid])
  })

  it("Promise 9: a second server refuses within a second and names the first, even through a link", async ({ room }) => {
    await room.ds(["server", "start"])
    fs.symlinkSync(room.dataDirectory, Path.join(room.directory, "link"))
    const [pid, port] = [room.pid, room.read("daemon.port")]
    const start = Date.now()
    await room.ds(["--version"])
    const startUp = Date.now() - start
    for (const directory of [".iterate", "link"]) {
      const from = Date.now()
      const { code, stderr } = await room.ds(["server", "run", "--data-dir", directory])
      // The time that Node takes to start does not count.
      expect(Date.now() - from - startUp).toBeLessThan(1000)
      expect(stderr).toMatch(oneSentence)
      expect(stderr).toContain(`Another server (pid ${pid}, port ${port}) is using ${room.directory}/${directory}.`)
      expect(code).toBe(5)
    }
    expect([room.pid, room.read("daemon.port")]).toEqual([pid, port])
    expect((await append(room, "still here")).code).toBe(0)
  })

  it("a server in the foreground is the one that commands find", async ({ room }) => {
    const server = room.start(["server", "run"])
    await server.told("Listening")
    expect((await append(room, "one")).stderr).toBe("")
    expect(room.servers()).toEqual([server.pid])
    server.kill("SIGINT")
    expect(await server.ended).toMatchObject({ code: 0, stdout: "" })
    expect(room.read("daemon.pid")).toBeUndefined()
  })

  it("a command that races a server in the foreground uses it", async ({ room }) => {
    const [server, appended] = [room.start(["server", "run"]), await append(room, "one")]
    expect(appended.code).toBe(0)
    await until(() => room.servers().length === 1, () => "the end of the server that came second")
    server.kill("SIGTERM")
    await server.ended
  })

  it("a server is started once, and the second start says that it runs", async ({ room }) => {
    const first = await room.ds(["server", "start"])
    const second = await room.ds(["server", "start"])
    expect(first).toMatchObject({ code: 0, stderr: "" })
    expect(first.stdout).toMatch(/^Started: http:\/\/127\.0\.0\.1:\d+ \(pid \d+\), storage fs, data in .*\n$/)
    expect(second).toEqual({ ...first, stdout: first.stdout.replace("Started", "Already running") })
    const moved = await room.ds(["server", "start", "--port", "1"])
    expect(moved.code).toBe(1)
    expect(moved.stderr).toContain("Move it with: server restart --port 1")
    expect(room.servers()).toEqual([room.pid])
  })

  it("after a stop nothing is left running, and the next stop ends with code 3", async ({ room }) => {
    await room.ds(["server", "start"])
    const { pid } = room
    expect(await room.ds(["server", "stop"])).toMatchObject({ code: 0, stdout: `Stopped: pid ${pid}\n` })
    expect(isAlive(pid)).toBe(false)
    expect(fs.readdirSync(room.dataDirectory).filter((name) => /pid|port/.test(name))).toEqual([])
    for (const command of ["stop", "status"]) {
      const { code, stderr, stdout } = await room.ds(["server", command])
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" })
      expect(stderr).toBe(`No server is running for ${room.dataDirectory}. Start one with: server start\n`)
    }
  })

  it("a stop, and a restart, wait for a server that takes its time", async ({ room }) => {
    for (const [command, servers] of [["restart", 1], ["stop", 0]] as const) {
      await room.ds(["server", "start", "--port", "0"])
      const { pid } = room
      // The server waits for a body that never ends, for as long as a stop may take.
      const slow = net.connect(Number(room.read("daemon.port")), "127.0.0.1")
      slow.on("error", () => {})
      slow.write("POST /streams/a HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n")
      slow.write("content-length: 100\r\n\r\n{")
      await fetch(`${room.url}/health`)
      expect((await room.ds(["server", command])).code).toBe(0)
      expect(isAlive(pid)).toBe(false)
      expect(room.servers()).toHaveLength(servers)
      slow.destroy()
    }
  })

  it("Promise 9: a command starts its server once more when a stop took longer than that server waited", async ({ room }) => {
    // This test stands in for a server that takes so long: it has the lock and its pid is in the file, but it answers
    // no request.
    room.write("daemon.pid", `${process.pid}\n`)
    const stopping = Scope.makeUnsafe()
    expect(await Effect.runPromise(Scope.provide(tryLock(filesOf(room.dataDirectory).lock), stopping))).toBe(true)
    const appending = room.start(["stream", "append", "-n", "a", "-m", "one"])
    await until(() => room.read("daemon.log")?.includes("Another server") === true, () => "a server that is refused")
    await until(() => room.servers().length === 0, () => "the end of that server")
    await Effect.runPromise(Scope.close(stopping, Exit.void))
    expect(await appending.ended).toMatchObject({ code: 0, stderr: expect.stringContaining("Started a server") })
    expect(room.servers()).toEqual([room.pid])
  })
})

describe("daemon.pid is not believed", () => {
  const remains: ReadonlyArray<readonly [title: string, put: (room: Room, file: string) => void]> = [
    ["a process that is gone", (_, file) => fs.writeFileSync(file, "4194303\n")],
    ["the first process of the machine", (_, file) => fs.writeFileSync(file, "1\n")],
    ["this very test", (_, file) => fs.writeFileSync(file, `${process.pid}\n`)],
    ["nothing", (_, file) => fs.writeFileSync(file, "")],
    ["garbage", (_, file) => fs.writeFileSync(file, "\u0000pid: -1; rm -rf /\n")],
    ["a megabyte", (_, file) => fs.writeFileSync(file, "7".repeat(1024 * 1024))],
    ["a directory", (_, file) => fs.mkdirSync(Path.join(file, "in it"), { recursive: true })]
  ]

  for (const [title, put] of remains) {
    it(`Promise 9: when it holds ${title}`, async ({ room }) => {
      room.write("daemon.port", "1\n")
      put(room, Path.join(room.dataDirectory, "daemon.pid"))
      expect((await room.ds(["server", "stop"])).code).toBe(3)
      expect(await append(room, "one")).toMatchObject({ code: 0, stderr: expect.stringContaining("Started a server") })
      expect(room.servers()).toEqual([room.pid])
    })
  }

  it("Promise 9: when it holds a stranger, who is left alone", async ({ room }) => {
    const stranger = room.spawn("sleep", ["1000"])
    room.write("daemon.pid", `${stranger.pid}\n`)
    room.write("daemon.port", "1\n")
    expect((await room.ds(["server", "stop"])).code).toBe(3)
    expect((await append(room, "one")).code).toBe(0)
    expect((await room.ds(["server", "stop"])).code).toBe(0)
    expect(isAlive(stranger.pid)).toBe(true)
  })

  it("Promise 9: when it holds a server of ours with another data directory, which is left alone", async ({ room }) => {
    await room.ds(["server", "start", "--data-dir", "other"])
    for (const name of ["daemon.pid", "daemon.port"]) {
      room.write(name, fs.readFileSync(Path.join(room.directory, "other", name), "utf8"))
    }
    const other = room.pid
    expect((await room.ds(["server", "stop"])).code).toBe(3)
    expect((await append(room, "one")).code).toBe(0)
    expect(room.pid).not.toBe(other)
    expect(room.servers().toSorted()).toEqual([room.pid, other].toSorted())
    expect((await room.ds(["stream", "list", "--data-dir", "other"])).stdout).toBe("")
  })
})

describe("a port that is taken", () => {
  const strangers: ReadonlyArray<readonly [title: string, make: () => net.Server]> = [
    ["a stranger who answers 200 to everything", () => http.createServer((_, response) => response.end("{}"))],
    ["a stranger who says nothing", () => net.createServer()]
  ]

  for (const [title, make] of strangers) {
    it(`is reported in one sentence if the user asked for it, and no command believes it: ${title}`, async ({ room }) => {
      const { port, stop } = await listen(make(), 0)
      const { code, stderr } = await room.ds(["server", "start", "--port", String(port)])
      expect(stderr).toMatch(oneSentence)
      expect(stderr).toContain(`Port ${port} on 127.0.0.1 is taken by another program.`)
      expect(code).toBe(1)
      room.write("daemon.port", `${port}\n`)
      room.write("daemon.pid", `${process.pid}\n`)
      expect((await append(room, "one")).code).toBe(0)
      expect(room.read("daemon.port")).not.toBe(String(port))
      await stop()
    })

    it(`is left to its owner if the user asked for none: ${title} on 3000`, async ({ room }) => {
      while (true) {
        // If another program has the port already, that is the stranger, for as long as it stays.
        const held = await listen(make(), 3000).catch(() => undefined)
        const none = { env: { DURABLE_STREAMS_PORT: undefined } }
        const { code, stderr } = await room.ds(["stream", "append", "-n", "a", "-m", "one"], none)
        await held?.stop()
        expect(code).toBe(0)
        expect(stderr).toContain(`Started a server at ${room.url} `)
        if (held === undefined && room.read("daemon.port") === "3000") {
          await room.ds(["server", "stop"])
          continue
        }
        expect(room.read("daemon.port")).not.toBe("3000")
        return
      }
    })
  }

  it("is left to the server of another data directory", async ({ room }) => {
    await room.ds(["server", "start", "--port", "0", "--data-dir", "other"])
    const port = fs.readFileSync(Path.join(room.directory, "other/daemon.port"), "utf8").trim()
    const { code, stderr } = await room.ds(["server", "start", "--port", port])
    expect(stderr).toContain(`Port ${port} on 127.0.0.1 is taken by another program.`)
    expect(code).toBe(1)
    expect((await append(room, "one")).code).toBe(0)
    expect(room.read("daemon.port")).not.toBe(port)
  })
})

describe("a server of another version", () => {
  it("is used all the same, and each command says so once, with a way to change it", async ({ room }) => {
    await room.ds(["server", "start", "--port", "0"])
    const { pid, url } = room
    const old = await listen(inFrontOf(url, "0.0.9"), 0)
    room.write("daemon.port", `${old.port}\n`)
    // An earlier version wrote no such file.
    fs.rmSync(Path.join(room.dataDirectory, "daemon.secret"))
    const said = `The server is version 0.0.9, this command ${version}. Restart it with this version: server restart\n`
    const lines = await room.ds(["stream", "append", "-n", "a"], { input: "one\ntwo\n" })
    expect({ code: lines.code, stderr: lines.stderr }).toEqual({ code: 0, stderr: said })
    for (
      const args of [["list"], ["get", "-n", "a", "--no-start"], ["subscribe", "-n", "a", "--tail", "1", "-l", "1"]]
    ) {
      const { code, stderr, stdout } = await room.ds(["stream", ...args])
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: said })
      expect(stdout).not.toBe("")
    }
    const elsewhere = await room.ds(["stream", "list"], { env: { DURABLE_STREAMS_URL: room.url } })
    expect(elsewhere).toMatchObject({ code: 0, stdout: "a\n", stderr: "" })
    expect(room.servers()).toEqual([pid])
    expect((await room.ds(["server", "restart", "--port", "0"])).code).toBe(0)
    expect(await room.ds(["stream", "list"])).toMatchObject({ code: 0, stdout: "a\n", stderr: "" })
    await old.stop()
  })
})

/** The server as one of an earlier version, which says less: requests are passed on to it. */
const inFrontOf = (url: string, version: string) =>
  http.createServer(async (request, response) => {
    if (request.url === "/health") {
      const health = await (await fetch(`${url}/health`)).json() as Health
      const { fixed: _, ...limits } = health.limits
      return void response.end(JSON.stringify({ ...health, version, limits }))
    }
    const { headers, method } = request
    request.pipe(http.request(url + request.url, { headers, method }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    }))
  })

const listen = async (server: net.Server, port: number) => {
  await new Promise<void>((resolve, reject) => server.on("error", reject).listen(port, "127.0.0.1", resolve))
  const sockets = new Set<net.Socket>()
  server.on("connection", (socket: net.Socket) => sockets.add(socket))
  return {
    port: (server.address() as net.AddressInfo).port,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}
