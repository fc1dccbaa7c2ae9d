/**
 * Pages in Chromium, served from this machine, each in a browser of its own. A page reports by a POST of JSON to
 * `/report`. Host names are mapped to this machine: no request leaves it, and no rule of the browser about private
 * networks changes a result.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import type * as net from "node:net"

const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => fs.existsSync(path))

/** Whether there can be no pages here, since Chromium is missing. */
export const chromiumMissing = chromium === undefined
  ? "Chromium is not installed (Debian: apt-get install --no-install-recommends chromium)."
  : undefined

/** A cold browser on a busy machine takes some seconds, and the page takes as many again. */
const pageMillis = 90_000

interface File {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The pages of one server; `fileOf` finds the file for a path. */
export class Pages {
  readonly server: http.Server
  readonly port: number
  #take: (report: unknown) => void = () => {}

  private constructor(server: http.Server, port: number, fileOf: (url: URL) => File | undefined) {
    this.server = server
    this.port = port
    server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
      const url = new URL(request.url!, "http://here")
      if (url.pathname === "/report") return void this.#receive(request, response)
      const file = fileOf(url)
      if (file === undefined) return void response.writeHead(404).end()
      response.writeHead(200, file.headers).end(file.body)
    })
  }

  static async start(fileOf: (url: URL) => File | undefined): Promise<Pages> {
    const server = http.createServer()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return new Pages(server, (server.address() as net.AddressInfo).port, fileOf)
  }

  /** Opens a page and returns its report; undefined if it did not report in time. */
  async open(profile: string, url: string): Promise<unknown> {
    const browser = spawn(chromium!, [...flags, `--user-data-dir=${profile}`, url], {
      stdio: "ignore",
      // A process group of its own, so that all of it can be ended.
      detached: true
    })
    const end = () => process.kill(-browser.pid!, "SIGKILL")
    process.once("exit", end)
    const report = await new Promise<unknown>((resolve) => {
      this.#take = resolve
      setTimeout(resolve, pageMillis, undefined).unref()
      browser.once("error", () => resolve(undefined))
    })
    process.off("exit", end)
    const ended = once(browser, "exit")
    end()
    await ended
    return report
  }

  #receive(request: http.IncomingMessage, response: http.ServerResponse): void {
    let text = ""
    request.setEncoding("utf8").on("data", (more: string) => text += more)
    request.on("end", () => {
      response.end()
      this.#take(JSON.parse(text))
    })
  }
}

const flags = [
  "--headless",
  // Chromium runs as any user, in any container.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--no-proxy-server",
  "--host-resolver-rules=MAP evil.test 127.0.0.1,MAP friend.test 127.0.0.1,MAP report.test 127.0.0.1," +
  "MAP rebind.test 127.0.0.2,MAP *.localhost 127.0.0.1,MAP * ~NOTFOUND,EXCLUDE localhost,EXCLUDE 127.0.0.1"
]
