/**
 * Servers in odd places: the data directory is renamed, removed, or on a full disk; the process id means another
 * process here; an address or a port cannot be used.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as Path from "node:path"
import { describe, expect } from "vitest"
import { builtMain } from "../support/built.ts"
import { MountSpace } from "../support/mount-space.ts"
import { isAlive, it, type Room, until } from "../support/room.ts"

const textsOf = (stdout: string) =>
  stdout.split("\n").slice(0, -1).map((line) => (JSON.parse(line) as { readonly text: string }).text)

const append = (room: Room, text: string, cwd = room.directory) =>
  room.ds(["stream", "append", "-n", "a", "-m", text], { cwd })

/** Runs the command in a current folder that does not exist any more. */
const inGone = (room: Room, command: string, env: Readonly<Record<string, string>> = {}) =>
  room.sh(`mkdir gone; cd gone; rmdir ../gone; durable-streams ${command}`, { env }).ended

describe("a data directory that goes away under its server", () => {
  it("by a new name is reported at once, with the pid and the old name, and the server can be stopped", async ({ room }) => {
    const [before, after] = ["p", "q"].map((name) => Path.join(room.directory, name)) as [string, string]
    fs.mkdirSync(before)
    await append(room, "one", before)
    const pid = Number(fs.readFileSync(Path.join(before, ".iterate/daemon.pid"), "utf8"))
    fs.renameSync(before, after)
    const start = Date.now()
    const told = {
      code: 5,
      stderr: `The server of ${after}/.iterate (pid ${pid}) started when that was ${before}/.iterate. ` +
        "Stop it with: server stop. The next command starts one here.\n"
    }
    expect(await append(room, "two", after)).toMatchObject(told)
    expect(await room.ds(["server", "status"], { cwd: after })).toMatchObject(told)
    expect(Date.now() - start).toBeLessThan(20_000)
    const stopped = await room.ds(["server", "stop"], { cwd: after })
    expect(stopped).toMatchObject({ code: 0, stdout: `Stopped: pid ${pid}\n` })
    expect(isAlive(pid)).toBe(false)
    expect((await append(room, "two", after)).code).toBe(0)
    const got = await room.ds(["stream", "get", "-n", "a", "-o", "raw"], { cwd: after })
    expect(textsOf(got.stdout)).toEqual(["one", "two"])
    await room.ds(["server", "stop"], { cwd: after })
  })

  it("is not taken for renamed if it was copied: the copy has a server of its own", async ({ room }) => {
    const [original, copy] = ["p", "q"].map((name) => Path.join(room.directory, name)) as [string, string]
    fs.mkdirSync(original)
    await append(room, "one", original)
    const pid = Number(fs.readFileSync(Path.join(original, ".iterate/daemon.pid"), "utf8"))
    fs.cpSync(original, copy, { recursive: true })
    expect((await room.ds(["server", "stop"], { cwd: copy })).code).toBe(3)
    expect((await append(room, "two", copy)).code).toBe(0)
    expect((await room.ds(["server", "restart"], { cwd: copy })).code).toBe(0)
    expect((await room.ds(["server", "stop"], { cwd: copy })).code).toBe(0)
    expect(isAlive(pid)).toBe(true)
    const got = await room.ds(["stream", "get", "-n", "a", "-o", "raw"], { cwd: original })
    expect(textsOf(got.stdout)).toEqual(["one"])
    await room.ds(["server", "stop"], { cwd: original })
  })

  it("ends its server, which takes nothing of the next server with it", async ({ room }) => {
    await append(room, "one")
    const first = room.pid!
    fs.rmSync(room.dataDirectory, { recursive: true })
    expect((await append(room, "two")).code).toBe(0)
    const second = room.pid!
    await until(() => !isAlive(first), () => "the end of the first server")
    expect(second).not.toBe(first)
    expect(room.pid).toBe(second)
    const got = await room.ds(["stream", "get", "-n", "a", "-o", "raw"])
    expect(textsOf(got.stdout)).toEqual(["two"])
    expect(room.pid).toBe(second)
  })
})

describe("a current folder that was removed", () => {
  it("is reported if the data directory would lie in it, and matters to no other command", async ({ room }) => {
    await append(room, "one")
    const told = "The current directory is not there any more. Change to one that is.\n"
    for (const command of ["doctor", "verify", "stream list", "server status", "server start", "server run"]) {
      const { code, stderr, stdout } = await inGone(room, command)
      expect({ command, code, stderr, stdout }).toEqual({ command, code: 1, stderr: told, stdout: "" })
    }
    const named = `--data-dir='${room.dataDirectory}'`
    expect((await inGone(room, `verify ${named}`)).code).toBe(0)
    for (const command of ["stream list", "server status", "server start"]) {
      const { code, stderr } = await inGone(room, `${command} ${named}`)
      expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: "" })
    }
    expect((await inGone(room, `doctor ${named}`)).stdout).toMatch(/^ok {4}daemon: /m)
    const env = { DURABLE_STREAMS_URL: room.url }
    for (const command of ["stream list", "stream get -n a", "stream append -n a -m two"]) {
      const { code, stderr } = await inGone(room, command, env)
      expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: "" })
    }
    await room.ds(["server", "stop"])
    expect((await inGone(room, `stream append -n a -m three ${named}`)).code).toBe(0)
  })
})

describe("a server in a container", () => {
  it("Promise 9: is not ended by its process id there, which is another process here", async ({ room, skip }) => {
    const space = await MountSpace.make()
    if (typeof space === "string") return skip(`needs ${space}`)
    space.close()
    const victim = room.sh("exec sleep 600")
    const inside = room.sh(
      `unshare --pid --fork --mount --kill-child bash -c 'mount -t proc proc /proc
         echo ${victim.pid - 1} > /proc/sys/kernel/ns_last_pid
         "$NODE" "$MAIN" server run --port 0 & wait'`,
      { env: { NODE: process.execPath, MAIN: builtMain } }
    )
    await inside.told("Listening")
    await until(() => room.read("daemon.pid") !== undefined, () => "the server's files")
    expect(room.pid).toBe(victim.pid)
    expect((await append(room, "one")).code).toBe(0)
    for (const args of [["server", "stop"], ["server", "restart"]]) {
      const { code, stderr } = await room.ds(args)
      expect(stderr).toBe(
        `The server runs elsewhere, such as in a container, where it is pid ${victim.pid}: stop it there.\n`
      )
      expect(code).toBe(1)
    }
    expect(isAlive(victim.pid)).toBe(true)
    expect((await fetch(`${room.url}/health`)).status).toBe(200)
    inside.kill("SIGKILL")
    victim.kill("SIGKILL")
    await inside.ended
  })
})

describe("on a full disk", () => {
  for (const isFirst of [false, true]) {
    it(`a server starts, serves its streams and deletes them${isFirst ? ", even without its reserve" : ""}`, async ({ room, skip }) => {
      const space = await MountSpace.make()
      if (typeof space === "string") return skip(`needs ${space}`)
      const disk = Path.join(room.directory, "disk")
      fs.mkdirSync(disk)
      space.run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk)
      const ds = (...args: ReadonlyArray<string>) => {
        const [command, ...rest] = space.wrapper
        return room.spawn(command!, [...rest, process.execPath, builtMain, ...args, "--data-dir", `${disk}/x`], {})
          .ended
      }
      expect((await ds("stream", "append", "-n", "b", "-m", "hi")).code).toBe(0)
      if (isFirst) {
        await ds("server", "stop")
        space.run("rm", "-r", `${disk}/x/reserve`)
      }
      space.run("sh", "-c", `head -c 3M /dev/zero > ${disk}/fill || true`)
      await ds("server", "stop")
      if (isFirst) space.run("sh", "-c", `rm -r ${disk}/x/reserve; head -c 3M /dev/zero >> ${disk}/fill || true`)
      expect(await ds("stream", "get", "-n", "b", "-o", "raw")).toMatchObject({
        code: 0,
        stdout: `{"type":"message","text":"hi"}\n`
      })
      if (!isFirst) expect((await ds("stream", "append", "-n", "b", "-m", "x".repeat(9000))).code).toBe(1)
      const second = await ds("stream", "delete", "-n", "b")
      if (isFirst) {
        // The file by which this command could find the server could not be written.
        expect(second.stderr).toMatch(/^A process \(pid \d+\) uses .* and does not answer as its server\./)
        expect(second.code).toBe(5)
        space.run("rm", `${disk}/fill`)
        await until(() => fs.existsSync(space.outside(`${disk}/x/daemon.pid`)), () => "the files of the server")
        expect((await ds("stream", "delete", "-n", "b")).code).toBe(0)
      } else expect(second).toMatchObject({ code: 0, stderr: "Deleted b\n" })
      expect((await ds("server", "stop")).code).toBe(0)
      space.close()
    })
  }
})

describe("on a disk that is filled again whenever something is freed", () => {
  it("Promise 9: every next command finds the server, and stops and deletes", async ({ room, skip }) => {
    const space = await MountSpace.make()
    if (typeof space === "string") return skip(`needs ${space}`)
    const disk = Path.join(room.directory, "disk")
    fs.mkdirSync(disk)
    space.run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk)
    const ds = (...args: ReadonlyArray<string>) => {
      const [command, ...rest] = space.wrapper
      return room.spawn(command!, [...rest, process.execPath, builtMain, ...args, "--data-dir", `${disk}/x`], {}).ended
    }
    const fill = () => space.run("sh", "-c", `cat /dev/zero >> ${disk}/fill || true`)
    const get = () => ds("stream", "get", "-n", "b", "-o", "raw")
    const got = { code: 0, stdout: `{"type":"message","text":"hi"}\n` }
    expect((await ds("stream", "append", "-n", "b", "-m", "hi")).code).toBe(0)
    expect((await ds("server", "stop")).code).toBe(0)
    for (let time = 0; time < 2; time++) {
      fill()
      expect(await get()).toMatchObject(got)
      fill()
      expect(await get()).toMatchObject({ ...got, stderr: "" })
      expect((await ds("server", "stop")).code).toBe(0)
      expect(fs.readdirSync(space.outside(`${disk}/x`)).filter((name) => /^daemon\.[^l]/.test(name))).toEqual([])
    }
    // A server that is killed leaves its files to the next one, with their room.
    expect(await get()).toMatchObject(got)
    process.kill(Number(fs.readFileSync(space.outside(`${disk}/x/daemon.pid`), "utf8")), "SIGKILL")
    fill()
    expect(await get()).toMatchObject(got)
    expect(await ds("stream", "delete", "-n", "b")).toMatchObject({ code: 0, stderr: "Deleted b\n" })
    expect((await ds("stream", "list")).code).toBe(0)
    expect((await ds("server", "stop")).code).toBe(0)
    space.close()
  })
})

describe("the address of a server", () => {
  it("may be IPv6 in brackets, and is printed that way", async ({ room, skip }) => {
    if (!(await hasIPv6())) return skip("this machine has no ::1")
    const server = room.start(["server", "run", "--host", "[::1]", "--port", "0"])
    await server.told("Listening")
    expect(server.stderr).not.toContain("without authentication")
    expect((await append(room, "one")).code).toBe(0)
    server.kill("SIGTERM")
    expect((await server.ended).code).toBe(0)
  })

  it("is not where a killed server was", async ({ room }) => {
    const server = room.start(["server", "run", "--host", "127.0.0.2", "--port", "0"])
    await server.told("Listening")
    await until(() => room.read("daemon.pid") !== undefined, () => "the server's files")
    expect((await append(room, "one")).code).toBe(0)
    server.kill("SIGKILL")
    await server.ended
    expect(room.read("daemon.host")).toBe("127.0.0.2")
    expect((await append(room, "two")).code).toBe(0)
    expect(room.read("daemon.host")).toBeUndefined()
  })

  it("is refused if it is a name that no name service knows, and no warning comes first", async ({ room }) => {
    const { code, stderr } = await room.ds(["server", "run", "--host", "no-such-host.invalid"])
    expect(stderr).toBe(
      `There is no address for the name "no-such-host.invalid". Choose one of this machine with --host.\n`
    )
    expect(code).toBe(1)
  })

  it("is refused if it is wrong, by the name of its flag or of its variable", async ({ room }) => {
    for (
      const [name, value, reason] of [
        ["PORT", "abc", "expected a number"],
        ["PORT", "70000", "expected a value between 0 and 65535"]
      ] as const
    ) {
      const variable = `DURABLE_STREAMS_${name}`
      const flag = `--${name.toLowerCase().replace("_", "-")}=${value}`
      const told = (name: string) => ({
        code: 2,
        stdout: "",
        stderr: `The value "${value}" of ${name} will not do: ${reason}. See: durable-streams server start --help\n`
      })
      const byFlag = await room.ds(["server", "start", flag])
      expect(byFlag).toMatchObject(told(flag.split("=")[0]!))
      const byVariable = await room.ds(["server", "start"], { env: { [variable]: value } })
      expect(byVariable).toMatchObject(told(variable))
    }
    for (const name of ["port", "host", "data-dir"]) {
      const { code, stderr } = await room.ds(["server", "start", `--${name}=`])
      expect(stderr).toBe(`The flag --${name} needs a value. See: durable-streams server start --help\n`)
      expect(code).toBe(2)
    }
    const doctor = await room.ds(["doctor"], { env: { DURABLE_STREAMS_PORT: "abc" } })
    expect(doctor).toMatchObject({
      code: 2,
      stderr: `The value "abc" of DURABLE_STREAMS_PORT will not do: expected a number.\n`
    })
    const free = await room.ds(["server", "start"], { env: { DURABLE_STREAMS_PORT: "0" } })
    expect(free).toMatchObject({ code: 0, stderr: "" })
  })

  it("is refused like every setting without a flag: the sentence names its variable, and no server is started or stopped", async ({ room }) => {
    for (
      const [name, value, advice] of [
        ["STREAM_IDLE", "abc", "write a number and a unit, such as 30 seconds or 2 minutes"],
        ["STREAM_IDLE", "-5 seconds", "write a number and a unit, such as 30 seconds or 2 minutes"],
        ["PUBLIC_URL", "streams.example.com", "write a whole address, such as https://streams.example.com"],
        ["PUBLIC_URL", "localhost:3000", "write a whole address, such as https://streams.example.com"]
      ] as const
    ) {
      const variable = `DURABLE_STREAMS_${name}`
      const told = { code: 2, stdout: "", stderr: `The value "${value}" of ${variable} will not do: ${advice}.\n` }
      for (
        const args of [
          ["server", "run"],
          ["server", "start"],
          ["server", "restart"],
          ["stream", "append", "-n=a", "-m=b"],
          ["stream", "list"]
        ]
      ) expect({ args, ...(await room.ds(args, { env: { [variable]: value } })) }).toMatchObject({ args, ...told })
    }
    expect(fs.existsSync(room.dataDirectory)).toBe(false)
    const env = { DURABLE_STREAMS_STREAM_IDLE: "2 minutes", DURABLE_STREAMS_PUBLIC_URL: "https://streams.example.com" }
    expect((await room.ds(["stream", "append", "-n=a", "-m=b"], { env })).code).toBe(0)
  })

  it("is not port 3000 if another program is there at ::1, and doctor names a free port", async ({ room, skip }) => {
    if (!(await hasIPv6())) return skip("this machine has no ::1")
    const other = net.createServer()
    const isListening = await new Promise<boolean>((resolve) =>
      other.on("error", () => resolve(false)).listen(3000, "::1", () => resolve(true))
    )
    if (!isListening) return skip("port 3000 of ::1 is taken")
    const env = { DURABLE_STREAMS_PORT: undefined }
    const { stdout } = await room.ds(["doctor"], { env })
    expect(stdout).toMatch(/warn {2}port: Port 3000 (of ::1 is another program's|is taken)/)
    expect((await room.ds(["stream", "append", "-n", "a", "-m", "one"], { env })).code).toBe(0)
    expect(room.read("daemon.port")?.trim()).not.toBe("3000")
    other.close()
  })

  it("is reported with the reason if the data directory cannot be made", async ({ room, skip }) => {
    const space = await MountSpace.make()
    if (typeof space === "string") return skip(`needs ${space}`)
    const disk = Path.join(room.directory, "disk")
    fs.mkdirSync(disk)
    space.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk)
    const [command, ...rest] = space.wrapper
    const { code, stderr } = await room.spawn(command!, [
      ...rest,
      process.execPath,
      builtMain,
      "stream",
      "append",
      "-n=a",
      "-m=b",
      `--data-dir=${disk}/x/y`
    ]).ended
    expect(stderr).toBe(
      `Could not make the data directory ${disk}/x/y: nothing can be made in ${disk} (EROFS). ` +
        "Choose another with --data-dir.\n"
    )
    expect(code).toBe(1)
    space.close()
  })
})

const hasIPv6 = (): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer()
    server.on("error", () => resolve(false)).listen(0, "::1", () => server.close(() => resolve(true)))
  })
