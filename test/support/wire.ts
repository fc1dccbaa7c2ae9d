/**
 * HTTP/1.1 over a bare socket, for requests that no client would send: bytes go out as they are written here, and
 * answers are read to exactly their end.
 */
import * as Net from "node:net"

export interface Reply {
  readonly status: number
  /** By lower-case name; a repeated header is joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export class Wire {
  readonly socket: Net.Socket
  #buffer: Buffer = Buffer.alloc(0)
  #over = false
  #wake: () => void = () => {}

  private constructor(socket: Net.Socket) {
    this.socket = socket
    socket.on("data", (bytes) => {
      this.#buffer = this.#buffer.length === 0 ? bytes : Buffer.concat([this.#buffer, bytes])
      this.#wake()
    })
    const over = () => {
      this.#over = true
      this.#wake()
    }
    socket.on("end", over).on("close", over).on("error", over)
  }

  static open(port: number): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
      socket.once("error", reject)
      socket.once("connect", () => {
        socket.off("error", reject)
        resolve(new Wire(socket))
      })
    })
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes)
    return this
  }

  close(): void {
    this.socket.destroy()
  }

  /** The next answer; fails when the connection ends before it does. */
  async reply(method = "GET"): Promise<Reply> {
    const head = await this.head()
    return { ...head, body: await this.body(head, method) }
  }

  /** The body after a head that was read. */
  async body({ headers, status }: Omit<Reply, "body">, method = "GET"): Promise<Buffer> {
    const isEmpty = status === 100 || method === "HEAD" || status === 204
    return isEmpty ? Buffer.alloc(0) : this.#body(headers)
  }

  /** Status line and headers of the next answer. */
  async head(): Promise<Omit<Reply, "body">> {
    const text = (await this.#through("\r\n\r\n")).toString("latin1")
    const [first = "", ...lines] = text.trimEnd().split("\r\n")
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const colon = line.indexOf(":")
      const name = line.slice(0, colon).toLowerCase()
      const value = line.slice(colon + 1).trim()
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
    }
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]
    if (status === undefined) throw new Error(`This is no status line: ${JSON.stringify(first)}`)
    return { status: Number(status), headers }
  }

  /** The next chunk of a chunked body; undefined at its proper end. A connection that is cut fails. */
  async chunk(): Promise<Buffer | undefined> {
    const size = Number.parseInt((await this.#through("\r\n")).toString("latin1"), 16)
    const bytes = await this.#take(size)
    await this.#take(2)
    return size === 0 ? undefined : bytes
  }

  /** Resolves to true when the other side has ended the connection, to false when it has sent more bytes. */
  async ended(): Promise<boolean> {
    return this.#buffer.length === 0 && !(await this.#more())
  }

  async #body(headers: Readonly<Record<string, string>>): Promise<Buffer> {
    const length = headers["content-length"]
    if (length !== undefined) return this.#take(Number(length))
    const chunks: Array<Buffer> = []
    if (headers["transfer-encoding"] !== "chunked") {
      while (await this.#more());
      return this.#take(this.#buffer.length)
    }
    while (true) {
      const chunk = await this.chunk()
      if (chunk === undefined) return Buffer.concat(chunks)
      chunks.push(chunk)
    }
  }

  /** Waits for more bytes; false when there will be none. */
  async #more(): Promise<boolean> {
    if (this.#over) return false
    const before = this.#buffer.length
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    return this.#buffer.length > before || !this.#over
  }

  async #through(mark: string): Promise<Buffer> {
    while (true) {
      const at = this.#buffer.indexOf(mark, 0, "latin1")
      if (at >= 0) return this.#take(at + mark.length)
      if (!(await this.#more())) throw new Error("The connection ended early.")
    }
  }

  async #take(count: number): Promise<Buffer> {
    while (this.#buffer.length < count) {
      if (!(await this.#more())) throw new Error("The connection ended early.")
    }
    const taken = this.#buffer.subarray(0, count)
    this.#buffer = this.#buffer.subarray(count)
    return taken
  }
}

export const json = { "Content-Type": "application/json" }

/** One request on a connection of its own, and its answer. */
export const exchange = async (port: number, bytes: string | Uint8Array): Promise<Reply> => {
  const wire = await Wire.open(port)
  try {
    const method = /^[A-Z]+/.exec(Buffer.from(bytes).subarray(0, 16).toString("latin1"))?.[0]
    return await wire.send(bytes).reply(method)
  } finally {
    wire.close()
  }
}

/** A request's bytes, with a `Host` unless the headers have one, and the length of the body if there is one. */
export const request = (
  method: string,
  target: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string | Uint8Array
): Buffer => {
  const all: Record<string, string> = { Host: "localhost", ...headers }
  if (body !== undefined) all["Content-Length"] ??= String(Buffer.byteLength(body))
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`), Buffer.from(body ?? "")])
}
