/** What a person can read of a message from Bitrix24: its BBCode as plain text, and its files as addresses. */
export function plainText({ text = '', files = [] }) {
  const links = files.map((file) => `${file.name ?? 'file'}: ${file.downloadLink ?? file.link ?? 'no address'}`);
  return [withoutBBCode(text), ...links].filter(Boolean).join('\n') || '(no text)';
}

function withoutBBCode(text) {
  return text
    .replace(/\[br\s*\/?\]/gi, '\n')
    .replace(/\[url=([^\]]+)\](.*?)\[\/url\]/gis, '$2 ($1)')
    .replace(/\[\/?(?:b|i|u|s|url|user|chat|code|quote|color|size|img)(?:=[^\]]*)?\]/gi, '')
    .replace(/ *\n */g, '\n')
    .trim();
}
