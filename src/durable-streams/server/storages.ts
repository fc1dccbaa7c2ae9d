/**
 * The storages that a server can keep its streams in, by name: a new backend is one line here. Only a server imports this
 * file; a command knows the names by their type alone, and so reads no backend's code.
 */
import type { Layer } from "effect"
import { filesOf } from "../../data-directory/paths.ts"
import type { StorageError } from "../../domain/errors.ts"
import { layerFileSystem } from "../../storage-filesystem/storage-filesystem.ts"
import { layerMemory } from "../../storage/storage-memory.ts"
import type { Storage } from "../../storage/storage.ts"

interface StorageOptions {
  /** Absolute path. */
  readonly dataDirectory: string
  readonly durability: "fsync" | "os"
  /** The most files that a backend keeps open. */
  readonly openFilesMax: number
}

/** The layer of a storage with these options. */
export type MakeStorage = (options: StorageOptions) => Layer.Layer<Storage, StorageError>

export const storages = {
  fs: ({ dataDirectory, durability, openFilesMax }) =>
    layerFileSystem({ directory: filesOf(dataDirectory).streams, durability, openFilesMax }),
  memory: () => layerMemory
} satisfies Readonly<Record<string, MakeStorage>>

export type StorageKind = keyof typeof storages
