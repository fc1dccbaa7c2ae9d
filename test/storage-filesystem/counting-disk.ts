/**
 * A disk that counts the calls it gets and their bytes: a measure of cost that does not depend on time.
 */
import { Effect } from "effect"
import type { Disk, DiskFile } from "../../src/storage-filesystem/disk/disk.ts"

export class CountingDisk implements Disk {
  readonly calls: Record<string, number> = {}
  bytesRead = 0
  bytesWritten = 0
  /** The lowest position that a write began at. */
  lowestWrite = Infinity
  readonly #disk: Disk

  constructor(disk: Disk) {
    this.#disk = disk
  }

  reset() {
    for (const call of Object.keys(this.calls)) delete this.calls[call]
    this.bytesRead = 0
    this.bytesWritten = 0
    this.lowestWrite = Infinity
  }

  readonly open = (path: string) => this.#counted("open", Effect.map(this.#disk.open(path), this.#file))
  readonly create = (path: string) => this.#counted("create", Effect.map(this.#disk.create(path), this.#file))
  readonly rename = (from: string, to: string) => this.#counted("rename", this.#disk.rename(from, to))
  readonly remove = (path: string) => this.#counted("remove", this.#disk.remove(path))
  readonly stamp = (path: string, at: number) => this.#counted("stamp", this.#disk.stamp(path, at))
  readonly stampOf = (path: string) => this.#counted("stampOf", this.#disk.stampOf(path))
  readonly list = (directory: string) => this.#counted("list", this.#disk.list(directory))
  readonly makeDirectory = (path: string) => this.#counted("makeDirectory", this.#disk.makeDirectory(path))
  readonly flushDirectory = (path: string) => this.#counted("flushDirectory", this.#disk.flushDirectory(path))

  readonly #counted = <A, E>(call: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      this.calls[call] = (this.calls[call] ?? 0) + 1
      return effect
    })

  readonly #file = (file: DiskFile): DiskFile => ({
    ...file,
    read: (into, length, position) =>
      this.#counted(
        "read",
        Effect.tap(file.read(into, length, position), (got) =>
          Effect.sync(() => {
            this.bytesRead += got
          }))
      ),
    write: (bytes, position) =>
      this.#counted(
        "write",
        Effect.suspend(() => {
          this.bytesWritten += bytes.length
          this.lowestWrite = Math.min(this.lowestWrite, position)
          return file.write(bytes, position)
        })
      ),
    flush: this.#counted("flush", file.flush),
    truncate: (size) => this.#counted("truncate", file.truncate(size))
  })
}
