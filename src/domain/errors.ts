/**
 * The refusals that every folder may meet, by subject. Each class says its status, title, headers and exit code itself
 * (`refusal.ts`); a folder with refusals of its own defines them there. Browser-safe: imports nothing but `effect`.
 */
export * from "./append-errors.ts"
export * from "./place-errors.ts"
export * from "./request-errors.ts"
export * from "./storage-errors.ts"
export * from "./stream-errors.ts"
