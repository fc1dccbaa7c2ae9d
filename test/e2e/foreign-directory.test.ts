/**
 * A data directory that another user made or filled, and a server that only claims to be ours: the program believes
 * neither.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import { describe, expect } from "vitest"
import { builtMain } from "../support/built.ts"
import { isAlive, it, type Room, until } from "../support/room.ts"

const append = (room: Room, text: string) => room.ds(["stream", "append", "-n", "a", "-m", text])

const at = (room: Room, ...names: ReadonlyArray<string>) => Path.join(room.dataDirectory, ...names)

/** A data directory like one that the server made itself. */
const makeDirectory = (room: Room) => fs.mkdirSync(room.dataDirectory, { mode: 0o700 })

const isRoot = process.geteuid?.() === 0

describe("Promise 12: a data directory is not used, and nothing outside of it is touched,", () => {
  const names = [
    "daemon.log",
    "daemon.log.1",
    "daemon.pid",
    "daemon.secret",
    "lock",
    "start.lock",
    "streams",
    "keys",
    "journal.0",
    "journal.1",
    "streams/probe"
  ]
  for (const name of names) {
    it(`when ${name} is a link`, async ({ room }) => {
      makeDirectory(room)
      const target = Path.join(room.directory, "outside")
      fs.mkdirSync(target)
      fs.writeFileSync(Path.join(target, "notes.json.ttl"), "mine")
      const isDirectory = name === "streams" || name === "keys"
      fs.mkdirSync(Path.dirname(at(room, name)), { recursive: true })
      fs.symlinkSync(isDirectory ? target : Path.join(target, "bashrc"), at(room, name))
      for (const args of [["stream", "append", "-n", "a", "-m", "hi"], ["server", "start"], ["server", "run"]]) {
        const { code, stderr, stdout } = await room.ds(args)
        expect({ args, code, stdout }).toEqual({ args, code: 4, stdout: "" })
        expect(stderr).toBe(
          `The data directory is not used, because ${at(room, name)} is a link, which could lead anywhere. ` +
            `Take it away: rm ${at(room, name)}. ` +
            "If the directory came with somebody else's files, choose another with --data-dir.\n"
        )
      }
      expect(fs.readdirSync(target)).toEqual(["notes.json.ttl"])
      expect(fs.readdirSync(room.dataDirectory, { recursive: true })).toContain(name)
      expect(fs.readdirSync(room.dataDirectory)).toHaveLength(1)
    })
  }

  it("when every user can write to it", async ({ room }) => {
    makeDirectory(room)
    fs.chmodSync(room.dataDirectory, 0o1777)
    const { code, stderr } = await append(room, "hi")
    expect(stderr).toContain("can be written by every user of this machine. Close it: chmod o-w")
    expect(code).toBe(4)
    fs.chmodSync(room.dataDirectory, 0o775)
    expect((await append(room, "hi")).code).toBe(0)
  })

  it("when it belongs to another user", async ({ room, skip }) => {
    if (!isRoot) return skip("only root makes another user's directory")
    fs.chmodSync(room.directory, 0o777)
    makeDirectory(room)
    fs.chownSync(room.dataDirectory, 65534, 65534)
    const { code, stderr } = await asUser(room, 65533, ["stream", "append", "-n", "a", "-m", "hi"])
    expect(stderr).toContain(`${room.dataDirectory} belongs to user 65534, and this is user 65533.`)
    expect(code).toBe(4)
    expect(fs.readdirSync(room.dataDirectory)).toEqual([])
  })

  it("when it was cloned with subscriptions in it, until its user trusts them or names it", async ({ room }) => {
    await append(room, "one")
    const made = await fetch(`${room.url}/v1/stream/__ds/subscriptions/s`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ type: "webhook", pattern: "**", webhook: { url: "http://127.0.0.1:1/" } })
    })
    expect(made.status).toBe(201)
    await room.ds(["server", "stop"])
    expect((await append(room, "two")).code).toBe(0)
    await room.ds(["server", "stop"])
    // The mode that git gives it.
    fs.chmodSync(at(room, "streams"), 0o755)
    const { code, stderr } = await append(room, "three")
    expect(stderr).toContain(`${at(room, "streams")} has subscriptions, which call the addresses that they name`)
    expect(stderr).toContain(`If you trust them: chmod -R go-rwx ${room.dataDirectory}\n`)
    expect(code).toBe(4)
    const other = Path.join(room.directory, "named")
    fs.cpSync(room.dataDirectory, other, { recursive: true })
    const named = ["--data-dir", other]
    expect((await room.ds(["stream", "append", "-n", "a", "-m", "x", ...named])).code).toBe(0)
    await room.ds(["server", "stop", ...named])
    fs.chmodSync(at(room, "streams"), 0o700)
    expect((await append(room, "three")).code).toBe(0)
  })

  it("and a single log that is a link is not followed", async ({ room }) => {
    await append(room, "one")
    await room.ds(["server", "stop"])
    const outside = Path.join(room.directory, "outside.json")
    fs.renameSync(at(room, "streams", "a.json"), outside)
    const before = fs.readFileSync(outside, "utf8")
    fs.symlinkSync(outside, at(room, "streams", "a.json"))
    const { code, stderr } = await append(room, "hi")
    expect(stderr).toContain("its log is a link, which is not followed")
    expect(code).toBe(1)
    expect(fs.readFileSync(outside, "utf8")).toBe(before)
    fs.rmSync(at(room, "streams", "a.json"))
    expect((await append(room, "two")).code).toBe(0)
  })
})

describe("a data directory", () => {
  it("may be a link of the user to a data directory of the user, or to an empty one", async ({ room }) => {
    fs.mkdirSync(Path.join(room.directory, "disk"))
    fs.symlinkSync("disk", room.dataDirectory)
    expect((await append(room, "one")).code).toBe(0)
    expect((await append(room, "two")).code).toBe(0)
    expect(fs.readdirSync(Path.join(room.directory, "disk"))).toContain("streams")
  })

  it("is ignored by git if the server made it", async ({ room }) => {
    execFileSync("git", ["init", "-q"], { cwd: room.directory })
    await append(room, "one")
    expect(execFileSync("git", ["status", "--porcelain"], { cwd: room.directory, encoding: "utf8" })).toBe("")
  })

  it("of a user stays that user's when root appends to it", async ({ room, skip }) => {
    if (!isRoot) return skip("only root can be root")
    makeDirectory(room)
    fs.chownSync(room.dataDirectory, 65534, 65534)
    expect((await append(room, "one")).code).toBe(0)
    const owners = fs.readdirSync(room.dataDirectory, { recursive: true, encoding: "utf8" })
      .map((name) => [name, fs.lstatSync(at(room, name)).uid])
    expect(owners.filter(([, uid]) => uid !== 65534)).toEqual([])
    expect(owners.length).toBeGreaterThan(7)
  })
})

const asUser = (room: Room, uid: number, args: ReadonlyArray<string>) =>
  room.sh(
    `exec setpriv --reuid ${uid} --regid ${uid} --clear-groups "$NODE" "$MAIN" ${args.join(" ")}`,
    { env: { NODE: process.execPath, MAIN: builtMain } }
  ).ended

describe("Promise 9: a server that only repeats what /health tells everybody", () => {
  it("gets no event of a command, and no command ends a process for it", async ({ room }) => {
    await room.ds(["server", "start", "--port", "0"])
    const health = await (await fetch(`${room.url}/health`)).text()
    const { pid } = room
    const got: Array<string> = []
    const fake = http.createServer((request, response) => {
      got.push(`${request.method} ${request.url}`)
      response.setHeader("content-type", "application/json").end(health)
    })
    await new Promise<void>((resolve) => fake.listen(0, "127.0.0.1", resolve))
    // The server dies, and a stranger has its port.
    const port = room.read("daemon.port")!
    process.kill(pid!, "SIGKILL")
    await until(() => !isAlive(pid!), () => "the end of the server")
    room.write("daemon.port", `${(fake.address() as AddressInfo).port}\n`)
    const victim = room.sh("exec sleep 600")
    room.write("daemon.pid", `${victim.pid}\n`)
    expect((await room.ds(["server", "stop"])).code).toBe(3)
    expect(isAlive(victim.pid)).toBe(true)
    expect((await append(room, "secret")).code).toBe(0)
    expect(got.filter((line) => line !== "GET /health")).toEqual([])
    expect(port).not.toBe("")
    victim.kill("SIGKILL")
    fake.closeAllConnections()
    fake.close()
  })

  it("is not believed either when it passes the question on to the server", async ({ room }) => {
    await room.ds(["server", "start", "--port", "0"])
    const { url } = room
    const fake = http.createServer(async (request, response) => {
      const answer = await fetch(url + request.url!, { headers: request.headers as Record<string, string> })
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text())
    })
    await new Promise<void>((resolve) => fake.listen(0, "127.0.0.1", resolve))
    const port = room.read("daemon.port")!
    expect((await room.ds(["server", "status"])).code).toBe(0)
    room.write("daemon.port", `${(fake.address() as AddressInfo).port}\n`)
    expect((await room.ds(["server", "status"])).code).toBe(3)
    room.write("daemon.port", port)
    fake.closeAllConnections()
    fake.close()
  })

  it("does not learn the secret, which belongs to this user alone", async ({ room }) => {
    await room.ds(["server", "start", "--port", "0"])
    const secret = room.read("daemon.secret")!.trim()
    expect(secret).toMatch(/^[0-9a-f]{64}$/)
    expect(fs.statSync(at(room, "daemon.secret")).mode & 0o777).toBe(0o600)
    const challenge = "0".repeat(32)
    const answer = await fetch(`${room.url}/health`, { headers: { "durable-streams-challenge": challenge } })
    expect(answer.headers.get("durable-streams-proof")).toMatch(/^[0-9a-f]{64}$/)
    for (const wrong of ["", "0", "0".repeat(33), "X".repeat(32)]) {
      const refused = await fetch(`${room.url}/health`, { headers: { "durable-streams-challenge": wrong } })
      expect(refused.headers.get("durable-streams-proof")).toBeNull()
    }
    expect(await answer.text()).not.toContain(secret)
    expect(room.read("daemon.log")).not.toContain(secret)
    await room.ds(["server", "restart"])
    expect(room.read("daemon.secret")!.trim()).not.toBe(secret)
  })
})
