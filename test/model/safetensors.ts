interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

function headerOf(file: Buffer): { size: number; header: Record<string, Entry> } {
  const size = Number(file.readBigUInt64LE());
  const { __metadata__: _, ...header } = JSON.parse(file.toString('utf8', 8, 8 + size));
  return { size, header };
}

/** The tensors of a safetensors file by their names, as bytes. */
export function readSafetensors(file: Buffer): Map<string, Buffer> {
  const { size, header } = headerOf(file);
  const tensors = Object.entries(header).map(
    ([name, { data_offsets: place }]) =>
      [name, file.subarray(8 + size + place[0], 8 + size + place[1])] as const,
  );
  return new Map(tensors);
}

/** A file with some of the tensors of another, all of one dtype, as the reference implementation writes it. */
export function part(file: Buffer, names: readonly string[]): Buffer {
  const { header } = headerOf(file);
  const tensors = readSafetensors(file);
  const chosen: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const bytes: Buffer[] = [];
  let end = 0;
  for (const name of [...names].sort()) {
    const start = end;
    bytes.push(tensors.get(name)!);
    end += tensors.get(name)!.length;
    const { dtype, shape } = header[name]!;
    chosen[name] = { dtype, shape, data_offsets: [start, end] };
  }
  const text = JSON.stringify(chosen);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, ...bytes]);
}
