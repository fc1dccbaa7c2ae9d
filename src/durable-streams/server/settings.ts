/**
 * The settings of a server, each written once. The flags of the command line, the variables, the arguments of a server that a
 * command starts, the settings that a restart keeps, and the table in docs/cli.md all come from here. A room adds its own in
 * one line.
 */
import { Context, Result } from "effect"
import { defaultDirectory, resolveDirectory } from "../../data-directory/paths.ts"
import { limitSettings } from "../../domain/limits.ts"
import type { GivenValues, SettingTable, ValuesOf } from "../../domain/setting.ts"
import { choice, setting, time, unfit } from "../../domain/setting.ts"
import { accessSettings } from "./access-settings.ts"
import type { StorageKind } from "./storages.ts"

/** The port that a server without another one tries first. */
export const defaultPort = 3000

/** Every kind, so that a new one is named here; the code of a backend is no part of a command. */
const storageKinds: Readonly<Record<StorageKind, true>> = { fs: true, memory: true }

/** In the order of the help. */
export const settings = {
  /** Undefined: 3000, or a free one if that is taken. */
  port: setting<number | undefined>({
    flag: "port",
    about: "Port to listen on",
    leftOut: `${defaultPort}, or a free one if that is taken`,
    default: undefined,
    // A restart takes it from the address at which the server was found.
    health: "nothing",
    page: { text: "given and taken: an error. 0 takes a free one" }
  }, {
    metavar: "number",
    read: (text) => {
      if (!/^-?\d+$/.test(text)) return unfit(text, "a number")
      const port = Number(text)
      return port >= 0 && port <= 65535 ? Result.succeed(port) : unfit(text, "a value between 0 and 65535")
    },
    write: String
  }),
  host: setting<string>({
    flag: "host",
    about: "Address to listen on",
    default: "127.0.0.1",
    health: "itself",
    page: { text: "beyond loopback the server warns: there is no authentication" }
  }, {
    metavar: "address",
    // With or without the brackets that an IPv6 address has in a URL. Nothing would be every address of the machine.
    read: (text) =>
      text === "" ? unfit(text, "an address") : Result.succeed(text.replace(/^\[([0-9a-f:.]+)\]$/i, "$1")),
    write: (host) => host
  }),
  storage: choice<StorageKind>({
    flag: "storage",
    about: "Keep streams in files, or in memory until the server stops",
    default: "fs",
    health: "itself",
    page: { text: "memory is gone when the server stops" }
  }, Object.keys(storageKinds) as Array<StorageKind>),
  durability: choice<"fsync" | "os">({
    flag: "durability",
    about: "Answer an append when its bytes are on the disk, or when the system has them",
    default: "fsync",
    health: "itself",
    page: { text: "answer when the bytes are on the disk, or when the system has them" }
  }, ["fsync", "os"]),
  ...limitSettings,
  ...accessSettings,
  /** How long a long-poll waits for news, in milliseconds. */
  longPollMillis: time({
    flag: "long-poll-timeout",
    about: "How long a long-poll waits for news",
    hint: ", in seconds, or as 500ms, 2m",
    leftOut: "30",
    // Below the minute after which proxies give up on a silent answer.
    default: 30_000,
    health: "itself",
    page: {
      default: "30s",
      text: "how long a long-poll waits for news: seconds, or `500ms`, `2m`; up to `1h`"
    }
  }),
  /** Absolute path, or one below the current directory. */
  dataDirectory: setting<string>({
    flag: "data-dir",
    about: "Where the server keeps its files",
    leftOut: "",
    default: defaultDirectory,
    // A restart is asked for by the directory.
    health: "nothing",
    page: {
      default: `\`${defaultDirectory}\``,
      text: "where the server keeps its files; also a flag of every other command"
    }
  }, {
    metavar: "directory",
    // Nothing would be the current directory itself.
    read: (text) => text === "" ? unfit(text, "a directory") : Result.succeed(resolveDirectory(text)),
    write: (directory) => directory
  })
}

/** The settings that a server is asked for; each that is left out has its default. */
export type ServerSettings = GivenValues<typeof settings>

/** Settings of which the directory is known. */
export type SettingsAt = ServerSettings & { readonly dataDirectory: string }

/** The settings of the program that runs; another program has rooms, and settings, of its own. */
export const CurrentSettings = Context.Reference<SettingTable>("durable-streams/server/settings/CurrentSettings", {
  defaultValue: () => settings
})

/** The values of all settings: those that were asked for, and the defaults of the others. */
export type SettingsInForce = ValuesOf<typeof settings>

export const withDefaults = (asked: ServerSettings): SettingsInForce => {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined)
  const defaults = Object.entries(settings).map(([key, setting]) => [key, setting.default] as const)
  const all = Object.fromEntries([...defaults, ...given]) as unknown as SettingsInForce
  return { ...all, dataDirectory: resolveDirectory(all.dataDirectory) }
}
