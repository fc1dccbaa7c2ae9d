/**
 * The flags of the server, the completions for shells, and behaviour that depends on a terminal.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { describe, expect } from "vitest"
import { builtMain } from "../support/built.ts"
import { dataOf, it, linesOf } from "../support/room.ts"
import { exchange, request } from "../support/wire.ts"

const health = async (url: string): Promise<unknown> => (await fetch(`${url}/health`)).json()

describe("flags of the server", () => {
  it("--storage memory keeps nothing on the disk, and nothing over a restart", async ({ room }) => {
    expect((await room.ds(["server", "start", "--storage", "memory"])).stdout).toContain("storage memory")
    expect(await health(room.url)).toMatchObject({ storage: "memory", durability: "none" })
    await room.ds(["stream", "append", "-n", "a", "-m", "x"])
    expect((await room.ds(["stream", "list"])).stdout).toBe("a\n")
    expect(fs.existsSync(Path.join(room.dataDirectory, "streams"))).toBe(false)
    await room.ds(["server", "restart", "--storage", "memory"])
    expect((await room.ds(["stream", "list"])).stdout).toBe("")
  })

  it("--storage fs and --durability os keep events over a restart, and the server names both", async ({ room }) => {
    await room.ds(["server", "start", "--storage", "fs", "--durability", "os"])
    expect(await health(room.url)).toMatchObject({ storage: "fs", durability: "os" })
    await room.ds(["stream", "append", "-n", "a", "-e", "1"])
    await room.ds(["server", "restart"])
    expect(await health(room.url)).toMatchObject({ storage: "fs", durability: "os" })
    expect(dataOf(linesOf((await room.ds(["stream", "get", "-n", "a"])).stdout))).toEqual([1])
  })

  it("--host names the address, and a server there is found, stopped and told apart", async ({ room }) => {
    for (const host of ["127.0.0.2", "::1", "localhost"]) {
      const { code, stderr, stdout } = await room.ds(["server", "start", "--host", host])
      expect({ host, code, stderr }).toEqual({ host, code: 0, stderr: "" })
      const url = /http:\/\/\S+/.exec(stdout)![0]
      expect(await health(url)).toMatchObject({ pid: room.pid })
      expect(await room.ds(["stream", "append", "-n", "a", "-m", host])).toMatchObject({ code: 0, stderr: "" })
      expect(await room.ds(["server", "stop"])).toMatchObject({ code: 0 })
      expect(fs.readdirSync(room.dataDirectory).filter((name) => /^daemon\.[^l]/.test(name))).toEqual([])
    }
  })

  it("beyond loopback the server warns that any client that reaches it may do anything", async ({ room }) => {
    const server = room.start(["server", "run", "--host", "0.0.0.0", "--port", "0"])
    await server.told("Listening")
    expect(server.stderr).toContain("Listening on 0.0.0.0 without authentication")
    expect(await room.ds(["stream", "append", "-n", "a", "-m", "x"])).toMatchObject({ code: 0, stderr: "" })
  })

  it("Promise 12: --cors-origin lets pages of other origins in, and the server warns if it lets in all", async ({ room }) => {
    const server = room.start(["server", "run", "--port", "0", "--cors-origin", "https://App.example:443"])
    await server.told("Listening")
    const status = async (origin: string) => (await fetch(`${room.url}/streams`, { headers: { origin } })).status
    expect(await Promise.all(["https://app.example", "https://evil.com"].map(status))).toEqual([200, 403])
    expect(server.stderr).not.toContain("--cors-origin")
    server.kill("SIGTERM")
    await server.ended
    const open = room.start([
      "server",
      "run",
      "--port",
      "0",
      "--cors-origin",
      "https://app.example",
      "--cors-origin",
      "*"
    ])
    await open.told("Listening")
    expect(await status("https://evil.com")).toBe(200)
    expect(open.stderr).toContain("(--cors-origin *)")
  })

  it("Promise 12: --allow-host lets names in, a restart keeps them, and a value that is no name starts no server", async ({ room }) => {
    await room.ds([
      "server",
      "start",
      "--port",
      "0",
      "--allow-host",
      "Streams.example.com",
      "--allow-host",
      "a,b.localhost"
    ])
    const status = async () => {
      const { stdout } = await room.ds(["server", "status", "--json"])
      return JSON.parse(stdout) as { readonly port: number; readonly allowHosts: ReadonlyArray<string> }
    }
    for (const restart of [false, true]) {
      if (restart) await room.ds(["server", "restart"])
      const { allowHosts, port } = await status()
      expect(allowHosts).toEqual(["streams.example.com", "a", "b.localhost"])
      const answer = async (host: string) => (await exchange(port, request("GET", "/health", { Host: host }))).status
      expect(await answer("streams.example.com:443")).toBe(200)
      expect(await answer("b.localhost")).toBe(200)
      expect(await answer("evil.example")).toBe(403)
    }
    await room.ds(["server", "stop"])
    for (const name of ["http://a.example", "a.example:80", "a/b", "a b"]) {
      expect(await room.ds(["server", "start", "--allow-host", name])).toMatchObject({ code: 2 })
    }
    await room.ds(["stream", "append", "-n", "a", "-m", "x"], {
      env: { DURABLE_STREAMS_ALLOW_HOST: "a.example, c.example" }
    })
    expect((await status()).allowHosts).toEqual(["a.example", "c.example"])
  })

  it("DURABLE_STREAMS_CORS_ORIGIN and DURABLE_STREAMS_LONG_POLL_TIMEOUT stand in for flags, even if a command starts the server", async ({ room }) => {
    const env = {
      DURABLE_STREAMS_CORS_ORIGIN: "https://a.example, tauri://localhost,",
      DURABLE_STREAMS_LONG_POLL_TIMEOUT: "2",
      DURABLE_STREAMS_MAX_BODY: "100",
      DURABLE_STREAMS_STALL_TIMEOUT: "1m"
    }
    await room.ds(["stream", "append", "-n", "a", "-m", "x"], { env })
    const corsOrigins = ["https://a.example", "tauri://localhost"]
    const limits = { bodyBytesMax: 100, stallMillis: 60_000 }
    expect(await health(room.url)).toMatchObject({ corsOrigins, longPollMillis: 2000, bodyBytesMax: 100, limits })
    await room.ds(["server", "stop"])
    await room.ds(["server", "start"], { env })
    expect(await health(room.url)).toMatchObject({ corsOrigins, longPollMillis: 2000, limits })
    await room.ds(["server", "stop"])
    await room.ds(["server", "start", "--cors-origin", "", "--long-poll-timeout", "1m30s"], { env })
    expect(await health(room.url)).toMatchObject({ corsOrigins: [], longPollMillis: 90_000 })
  })

  it("a value that is no origin, or no time, is wrong usage, and no server is started", async ({ room }) => {
    const origins = [
      "https://a.example/",
      "a.example",
      "https://*.example",
      "null",
      "file:///",
      "https://a@b",
      "https://a b"
    ]
    const cases = [
      ...origins.map((origin) => ["--cors-origin", origin]),
      ...["0", "2h", "soon", "-1", "1.5"].map((time) => ["--long-poll-timeout", time]),
      ["--stall-timeout", "soon"],
      ["--max-streams", "0"]
    ]
    for (const [flag, value] of cases) {
      expect(await room.ds(["server", "start", `${flag}=${value}`])).toMatchObject({
        code: 2,
        stdout: "",
        stderr: expect.stringMatching(/^The value ".*" of --\S+ will not do: it is no (?:origin|time|whole number)\b/)
      })
    }
    const env = { DURABLE_STREAMS_CORS_ORIGIN: "a.example" }
    expect(await room.ds(["stream", "list"], { env })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("The value \"a.example\" of DURABLE_STREAMS_CORS_ORIGIN will not do")
    })
    expect(fs.readdirSync(room.directory)).toEqual([])
  })

  it("--port is the port; DURABLE_STREAMS_PORT stands in for it; restart moves it", async ({ room }) => {
    await room.ds(["server", "start", "--port", "0"])
    const port = room.read("daemon.port")!
    await room.ds(["server", "stop"])
    await room.ds(["server", "start"], { env: { DURABLE_STREAMS_PORT: port } })
    expect(room.read("daemon.port")).toBe(port)
    await room.ds(["server", "restart", "--port", "0"])
    expect(room.read("daemon.port")).not.toBe(port)
    await room.ds(["server", "restart", "--port", port])
    expect(room.read("daemon.port")).toBe(port)
  })

  it("--max-body is the largest body", async ({ room }) => {
    await room.ds(["server", "start", "--max-body", "100"])
    expect(await room.ds(["stream", "append", "-n", "a", "-m", "x".repeat(200)])).toMatchObject({
      code: 1,
      stderr: "The body is larger than 100 bytes. Send less, or start the server with a larger --max-body.\n"
    })
    expect((await room.ds(["stream", "append", "-n", "a", "-m", "x"])).code).toBe(0)
  })
})

describe("completions", () => {
  it("exist for bash, zsh and fish, and know the commands and flags", async ({ room }) => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { code, stderr, stdout } = await room.ds(["--completions", shell])
      expect({ shell, code, stderr }).toEqual({ shell, code: 0, stderr: "" })
      for (const word of ["durable-streams", "subscribe", "append", "restart", "durability", "no-start", "tail"]) {
        expect(stdout).toContain(word)
      }
      expect(stdout).not.toContain("daemon ")
      fs.writeFileSync(Path.join(room.directory, shell), stdout)
    }
    expect(await room.spawn("bash", ["-n", "bash"]).ended).toMatchObject({ code: 0, stderr: "" })
  })

  it("complete in bash", async ({ room }) => {
    const complete = async (line: string) => {
      const words = line.split(" ")
      const script = `source <(durable-streams --completions bash)
        COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
        COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}
        $(complete -p durable-streams | sed -E 's/.*-F ([^ ]+).*/\\1/') durable-streams '${words.at(-1)}' '${
        words.at(-2)
      }'
        printf '%s\\n' "\${COMPREPLY[@]}"`
      return linesOf((await room.sh(script).ended).stdout).map((word) => word.trim())
    }
    expect(await complete("durable-streams stream sub")).toEqual(["subscribe"])
    expect(await complete("durable-streams server run --dur")).toContain("--durability")
    expect(await complete("durable-streams stream get -o r")).toEqual(["raw"])
  })
})

describe("on a terminal", () => {
  it("pretty is in colour, unless NO_COLOR is set or a pipe reads it", async ({ room }) => {
    await room.ds(["stream", "append", "-n", "a", "-m", "hello"])
    const command = "stream get -n a -o pretty"
    expect((await room.onTerminal(command)).stdout).toContain("\u001b[36m")
    expect((await room.onTerminal(command, { NO_COLOR: "1" })).stdout).not.toContain("\u001b")
    expect((await room.sh(`durable-streams ${command}`).ended).stdout).not.toContain("\u001b")
    const help = await room.onTerminal("stream --help", { NO_COLOR: "1" })
    expect(help).toMatchObject({ code: 0 })
    expect(help.stdout).not.toContain("\u001b")
  })

  it("append without -m and -e says what it needs instead of waiting for lines to be typed", async ({ room }) => {
    const { code, stdout } = await room.onTerminal("stream append -n a")
    expect({ code, stdout: stdout.trim() }).toEqual({
      code: 2,
      stdout: "Say what to append: -m \"text\", -e '{\"json\":1}', or lines on stdin."
    })
    expect(fs.readdirSync(room.directory)).toEqual([])
  })
})

describe("on a Node that is too old", () => {
  it("the program says which version it needs, and does nothing", async ({ room }) => {
    const older = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })`
    const { code, stderr } = await room.spawn(process.execPath, [
      "--import",
      `data:text/javascript,${encodeURIComponent(older)}`,
      builtMain,
      "stream",
      "list"
    ]).ended
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "durable-streams needs Node 22.19 or later; this is 20.20.2.\n"
    })
    expect(fs.readdirSync(room.directory)).toEqual([])
  })
})

describe("through tsx, as the documents write it", () => {
  it("a daemon is started, found and stopped", async ({ room }) => {
    room.makeRepository()
    const tsx = (line: string) => room.sh(`npx tsx src/durable-streams/main.ts ${line}`).ended
    const first = await tsx("stream append -n a -m 'hello world'")
    expect(first.code).toBe(0)
    expect(first.stderr).toContain("Started a server at ")
    expect(dataOf(linesOf(first.stdout))).toEqual([{ type: "message", text: "hello world" }])
    expect((await tsx("server stop")).stdout).toMatch(/^Stopped: pid \d+\n$/)
  })
})
