#!/usr/bin/env python3
"""Writes running English prose for the task running_text of a decoder's recipe, one paragraph a line.

  apt-get download dict-foldoc dict-jargon     # Free On-line Dictionary of Computing (GFDL), Jargon File (public domain)
  for package in dict-*.deb; do dpkg-deb -x $package dictionaries; done
  tools/running_text.py dictionaries dictionaries/usr/share/dictd work/mini/dictionaries.txt
  tools/running_text.py squad xquad.en.json work/mini/encyclopedia.txt
      # Wikipedia's paragraphs in SQuAD's layout (github.com/google-deepmind/xquad, CC BY-SA 4.0)
"""
import gzip
import json
import os
import re
import sys


def dictionary_paragraphs(folder):
    for name in ("foldoc", "jargon"):
        with gzip.open(os.path.join(folder, name + ".dict.dz"), "rt", encoding="utf-8") as file:
            for paragraph in re.split(r"\n\s*\n", file.read()):
                # Cross references, marks of subject, dates and pronunciations are no prose.
                text = re.sub(r"[{}]|<[^>]*>|\(\d{4}-\d\d-\d\d\)", "", " ".join(paragraph.split()))
                if len(text) >= 150 and text[-1] in ".!?" and "--" not in text and "|" not in text:
                    yield text.strip()


def squad_paragraphs(path):
    with open(path, encoding="utf-8") as file:
        for article in json.load(file)["data"]:
            for paragraph in article["paragraphs"]:
                yield " ".join(paragraph["context"].split())


READERS = {"dictionaries": dictionary_paragraphs, "squad": squad_paragraphs}


def main():
    if sys.argv[1:] == ["--help"]:
        return print(__doc__)
    if len(sys.argv) != 4 or sys.argv[1] not in READERS:
        sys.exit(__doc__)
    kind, source, output = sys.argv[1:]
    try:
        paragraphs = list(READERS[kind](source))
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"{source}: {error}; see {sys.argv[0]} --help for where to get it")
    os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
    with open(output + ".part", "w", encoding="utf-8") as file:
        file.writelines(paragraph + "\n" for paragraph in paragraphs)
    os.replace(output + ".part", output)
    print(f"{output}: {len(paragraphs)} paragraphs, {sum(len(p.split()) for p in paragraphs)} words")


main()
