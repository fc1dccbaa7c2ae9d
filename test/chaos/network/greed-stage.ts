/**
 * The tools of an attacker: sockets that send much and read nothing, or only enough to see that every request was
 * answered.
 */
import * as net from "node:net"
import type { StartOptions } from "../../support/server-process.ts"
import { json, request } from "../../support/wire.ts"

/** The cheapest request that costs the server most, at one route. */
export interface Attack {
  readonly name: string
  readonly route: string
  /** The options of the server under attack, if they are not the defaults. */
  readonly start?: StartOptions
  /** The descriptors that the attack may leave open while its streams are awake, besides one for each stream. */
  readonly files?: number
  /** Prepares the data that the attack needs, as any client may. */
  readonly prepare?: (stage: Stage) => Promise<void>
  readonly run: (stage: Stage) => Promise<void>
  /** Returns a sentence for each violation while the attack lasts. */
  readonly check?: (stage: Stage) => Promise<ReadonlyArray<string>>
}

/** The longest wait for the answers to all requests. */
const answeredMillis = 20_000

export class Stage {
  readonly port: number
  readonly brief: boolean
  /** The number of bytes that the attacker sent. */
  sent = 0
  readonly #sockets = new Set<net.Socket>()
  readonly #finals: Array<() => void> = []

  constructor(port: number, brief: boolean) {
    this.port = port
    this.brief = brief
  }

  /** Returns the first number in a full run, the second in a short one. */
  scaled(full: number, brief: number): number {
    return this.brief ? brief : full
  }

  /** Registers an action for the end of the attack. */
  finally(final: () => void): void {
    this.#finals.push(final)
  }

  /** Opens a connection that reads nothing. */
  open(): Promise<net.Socket> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port: this.port, host: "127.0.0.1", noDelay: true })
      this.#sockets.add(socket)
      socket.once("error", reject)
      socket.on("error", () => {})
      socket.on("close", () => this.#sockets.delete(socket))
      socket.once("connect", () => {
        socket.off("error", reject)
        resolve(socket)
      })
    })
  }

  async openAll(count: number): Promise<ReadonlyArray<net.Socket>> {
    const all: Array<net.Socket> = []
    // As many connections as the system's queue holds, so that none is refused.
    while (all.length < count) {
      all.push(...await Promise.all(Array.from({ length: Math.min(100, count - all.length) }, () => this.open())))
    }
    return all
  }

  send(socket: net.Socket, bytes: string | Uint8Array): void {
    this.sent += Buffer.byteLength(bytes)
    if (!socket.destroyed) socket.write(bytes)
  }

  /** Sends the same bytes `times` times in one write, on connections that read nothing and stay open. */
  async unread(connections: number, times: number, bytes: Uint8Array): Promise<void> {
    const all = repeat(bytes, times)
    for (const socket of await this.openAll(connections)) this.send(socket, all)
  }

  /**
   * Sends requests one behind the other on one connection. Returns how many were answered before the connection ended
   * or fell silent.
   */
  async answered(requests: ReadonlyArray<Uint8Array>): Promise<number> {
    const socket = await this.open()
    let count = 0
    let rest = ""
    const all = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, answeredMillis)
      socket.on("close", () => {
        clearTimeout(timer)
        resolve()
      })
      socket.on("data", (bytes: Buffer) => {
        const parts = (rest + bytes.toString("latin1")).split("HTTP/1.1 ")
        count += parts.length - 1
        rest = parts.at(-1)!.slice(-"HTTP/1.1".length)
        if (count < requests.length) return
        clearTimeout(timer)
        resolve()
      })
    })
    this.send(socket, Buffer.concat(requests))
    await all
    socket.destroy()
    return count
  }

  /** Sends the same requests on several connections, each of which reads its answers. */
  async read(connections: number, times: number, bytes: Uint8Array): Promise<void> {
    const requests = Array.from({ length: times }, () => bytes)
    await Promise.all(Array.from({ length: connections }, () => this.answered(requests)))
  }

  /** Closes all connections without any further message. */
  leave(): void {
    for (const socket of this.#sockets) socket.destroy()
    for (const final of this.#finals.splice(0)) final()
  }
}

export const repeat = (bytes: Uint8Array, times: number): Buffer =>
  Buffer.concat(Array.from({ length: times }, () => bytes))

export const get = (target: string, headers: Readonly<Record<string, string>> = {}) => request("GET", target, headers)

export const ndjson = { "Content-Type": "application/x-ndjson" }

export const post = (target: string, body: string | Uint8Array, headers: Readonly<Record<string, string>> = json) =>
  request("POST", target, headers, body)

export const put = (target: string, headers: Readonly<Record<string, string>> = json, body: string | Uint8Array = "") =>
  request("PUT", target, headers, body)

/** Creates the data of an attack: the server answers all of it before any measurement. */
export const prepareAll = async (stage: Stage, requests: ReadonlyArray<Uint8Array>): Promise<void> => {
  // The first request goes alone, since the others may depend on it. The rest goes in parts: a preparation must not be
  // an attack.
  for (let from = 0, to = 1; from < requests.length; from = to, to += 50) {
    const some = requests.slice(from, to)
    const count = await stage.answered(some)
    if (count < some.length) throw new Error(`Only ${from + count} of ${requests.length} were answered.`)
  }
}

/** Prepares a stream of four events of 900,000 bytes. */
export const prepareBig = async (stage: Stage): Promise<void> => {
  await prepareAll(stage, [
    put("/v1/stream/big"),
    ...Array.from({ length: 4 }, (_, i) => post("/v1/stream/big", `["${String(i).repeat(900_000)}"]`))
  ])
}
