/**
 * `node yardstick.ts writer|sqlite PORT DIRECTORY`: the smallest server that appends and reads, without any of our
 * code. `writer` keeps each stream in a file, one line and one fdatasync a commit; `sqlite` has SQLite keep the streams
 * (WAL, FULL). If a suite finds a loss here, the suite is wrong, or the disk.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"

interface Kept {
  /** Appends the data of events, as text. Returns the offset of the first one, when all are on the disk. */
  readonly append: (stream: string, data: ReadonlyArray<string>) => Promise<number>
  readonly read: (stream: string) => ReadonlyArray<string> | undefined
}

const writer = (directory: string): Kept => {
  const open = new Map<
    string,
    { readonly fd: number; readonly data: Array<string>; size: number; last: Promise<void> }
  >()
  const openStream = (stream: string) => {
    const path = Path.join(directory, stream)
    const isNew = !fs.existsSync(path)
    const fd = fs.openSync(path, isNew ? "w+" : "r+")
    if (isNew) {
      const above = fs.openSync(directory, "r")
      fs.fsyncSync(above)
      fs.closeSync(above)
    }
    const data: Array<string> = []
    let size = 0
    for (const line of fs.readFileSync(path, "utf8").split("\n").slice(0, -1)) {
      try {
        data.push(...(JSON.parse(line) as ReadonlyArray<unknown>).map((value) => JSON.stringify(value)))
      } catch {
        break
      }
      size += Buffer.byteLength(line) + 1
    }
    fs.ftruncateSync(fd, size)
    fs.fdatasyncSync(fd)
    const log = { fd, data, size, last: Promise.resolve() }
    open.set(stream, log)
    return log
  }
  const of = (stream: string) => open.get(stream) ?? openStream(stream)
  for (const stream of fs.readdirSync(directory)) if (stream !== "lost+found") of(stream)
  return {
    append: (stream, data) => {
      const log = of(stream)
      const appended = log.last.then(async () => {
        const line = Buffer.from(`[${data.join(",")}]\n`)
        fs.writeSync(log.fd, line, 0, line.length, log.size)
        log.size += line.length
        await new Promise<void>((resolve, reject) => fs.fdatasync(log.fd, (error) => error ? reject(error) : resolve()))
        return log.data.push(...data) - data.length
      })
      log.last = appended.then(() => {})
      return appended
    },
    read: (stream) => open.get(stream)?.data
  }
}

const sqlite = (directory: string): Kept => {
  const database = new DatabaseSync(Path.join(directory, "events.db"))
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
  database.exec("CREATE TABLE IF NOT EXISTS events (stream TEXT, at INTEGER, data TEXT, PRIMARY KEY (stream, at))")
  const tail = database.prepare("SELECT count(*) AS tail FROM events WHERE stream = ?")
  const insert = database.prepare("INSERT INTO events VALUES (?, ?, ?)")
  const select = database.prepare("SELECT data FROM events WHERE stream = ? ORDER BY at")
  return {
    append: async (stream, data) => {
      database.exec("BEGIN IMMEDIATE")
      const first = Number(tail.get(stream)!["tail"])
      data.forEach((text, i) => insert.run(stream, first + i, text))
      database.exec("COMMIT")
      return first
    },
    read: (stream) => {
      const rows = select.all(stream)
      return rows.length === 0 ? undefined : rows.map(({ data }) => String(data))
    }
  }
}

const [, , kind, port, directory] = process.argv
const kept = kind === "sqlite" ? sqlite(directory!) : writer(directory!)
const digits = (offset: number) => offset.toString().padStart(16, "0")

http.createServer((request, response) => {
  const answer = (status: number, text = "") => void response.writeHead(status).end(text)
  const stream = /^\/(?:v1\/stream|streams)\/([^/?]+)/.exec(request.url!)?.[1]
  if (stream === undefined || request.method === "HEAD") return answer(200)
  if (request.method === "GET") {
    const data = kept.read(stream)
    if (data === undefined) return answer(404)
    return answer(200, data.map((text, i) => `{"offset":"${digits(i)}","data":${text}}\n`).join(""))
  }
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    const text = Buffer.concat(chunks).toString()
    const isOne = request.headers["content-type"] === "application/json"
    kept.append(stream, isOne ? [text.slice(`{"data":`.length, -1)] : text.split("\n")).then(
      (offset) => answer(201, `{"offset":"${digits(offset)}"}`),
      () => answer(500)
    )
  })
}).listen(Number(port), "127.0.0.1")
