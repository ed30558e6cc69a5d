// The block of bytes that Python packed (blob.py), as typed arrays by name.

const KINDS = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  f32: Float32Array,
};

const pause = () => new Promise((done) => setTimeout(done));

async function decode64(text, report) {
  const step = 1 << 20,
    size = (text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
  const bytes = new Uint8Array(size);
  for (let start = 0, at = 0; start < text.length; start += step) {
    const part = atob(text.slice(start, start + step));
    for (let i = 0; i < part.length; i++) bytes[at++] = part.charCodeAt(i);
    report(start / text.length);
    await pause();
  }
  return bytes;
}

async function inflate(bytes, format = "gzip") {
  if (typeof DecompressionStream === "undefined")
    throw new Error(
      "This browser is too old to unpack the page (it lacks DecompressionStream). Any browser from 2023 on opens it.",
    );
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const start = 4 + view.getUint32(0, true);
  const contents = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  const arrays = {};
  let at = start;
  for (const { name, type, rows, columns } of contents) {
    const array = new KINDS[type](rows * columns),
      target = new Uint8Array(array.buffer),
      size = array.BYTES_PER_ELEMENT;
    for (let plane = 0; plane < size; plane++) {
      for (let column = 0; column < columns; column++) {
        for (let row = 0, to = column * size + plane; row < rows; row++, to += columns * size) target[to] = bytes[at++];
      }
    }
    arrays[name] = array;
  }
  return arrays;
}
