import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

/**
 * sonner writes a `<style>` element from a script, which `style-src 'self'` refuses. style.css imports its style sheet
 * instead.
 */
const sonnerWithoutInlineStyle: Plugin = {
  name: 'sonner-without-inline-style',
  transform(code, id) {
    if (!/\/sonner\/dist\/index\.mjs/.test(id)) return null
    const cut = code.replace(/^__insertCSS\((["'`])[\s\S]*?\1\);?$/m, '')
    if (cut === code) throw new Error('sonner no longer inserts its style the known way: look at vite.config.ts')
    return { code: cut, map: null }
  },
}

/** Writes the brotli and gzip form of each file next to it, for the API to send. A CDN compresses by itself. */
const compressed: Plugin = {
  name: 'compressed',
  apply: 'build',
  writeBundle({ dir = '' }) {
    for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(css|html|js|json|svg)$/.test(entry.name)) continue
      const file = join(entry.parentPath, entry.name)
      const bytes = readFileSync(file)
      if (bytes.length < 1024) continue
      const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
      writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params }))
      writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
    }
  },
}

/** `POSTERN_API_URL`: the running API that `vite` uses during work on the console. */
const api = process.env.POSTERN_API_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [react(), tailwindcss(), sonnerWithoutInlineStyle, compressed],
  // `data:` images and fonts would need a wider CSP
  build: { target: 'es2024', assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: true },
  server: { host: '127.0.0.1', proxy: { '/v1': api } },
  preview: { host: '127.0.0.1', proxy: { '/v1': api } },
})
