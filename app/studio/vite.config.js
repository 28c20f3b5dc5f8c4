import { readFileSync } from 'node:fs';
import { defineConfig } from 'vite';

const drawings = new URL('node_modules/@tabler/icons/icons/outline/', import.meta.url);

// One file of symbols, made of the icons that `front/icons.txt` lists: one meaning each.
function icons() {
  return {
    name: 'percorso-icons',
    generateBundle() {
      const lines = readFileSync(new URL('front/icons.txt', import.meta.url), 'utf8').split('\n');
      const symbols = lines
        .filter((line) => line.trim() && !line.startsWith('#'))
        .map((line) => {
          const [name, drawing] = line.trim().split(/\s+/);
          const svg = readFileSync(new URL(`${drawing}.svg`, drawings), 'utf8');
          const body = svg.replace(/<!--[\s\S]*?-->/g, '').replace(/<svg[^>]*>|<\/svg>/g, '').replace(/\s+/g, ' ');
          return `<symbol id="${name}" viewBox="0 0 24 24">${body.trim()}</symbol>`;
        });
      const source = `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join('')}</svg>`;
      this.emitFile({ type: 'asset', name: 'icons.svg', originalFileName: 'icons.svg', source });
    },
  };
}

export default defineConfig({
  root: new URL('front', import.meta.url).pathname,
  base: '/static/dist/',
  plugins: [icons()],
  build: {
    outDir: '../static/dist',
    emptyOutDir: true,
    manifest: true,
    assetsInlineLimit: 0,
    target: 'es2022',
    rollupOptions: { input: { studio: new URL('front/studio.js', import.meta.url).pathname } },
  },
});
