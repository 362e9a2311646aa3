#!/bin/sh
# Writes the example sentences of WordNet 3.0 (Princeton University; Debian's package wordnet-base) that have so many
# words to a file, one a line: a vocabulary far wider than that of data/sentences.txt, for recipes/mini_*.yaml.
#   tools/wordnet_examples.sh work/mini/wordnet_examples.txt 4 18   # 33,000 sentences and long phrases
#   tools/wordnet_examples.sh work/mini/wordnet_phrases.txt 2 3     # short ones, from which listening is learnt first
set -eu
usage="usage: tools/wordnet_examples.sh OUTPUT LEAST_WORDS MOST_WORDS"
output=${1:?$usage} least=${2:?$usage} most=${3:?$usage}
folder=${WORDNET:-/usr/share/wordnet}
if [ ! -f "$folder/data.noun" ]; then
  echo "There is no WordNet in $folder; install it (apt-get install wordnet-base) or set WORDNET to its folder." >&2
  exit 1
fi
mkdir -p "$(dirname "$output")"
export LC_ALL=C
cd "$folder"
examples=$(grep -ho '"[^"]*"' data.noun data.verb data.adj data.adv | tr -d '"' | grep -vE "[^A-Za-z ,.?!'-]|\.\." |
  awk -v least="$least" -v most="$most" 'least <= NF && NF <= most' | sed -E 's/^ +//; s/[ ,-]+$//; s/^./\u&/; s/([^.?!])$/\1./' | sort -u)
cd - > /dev/null
printf '%s\n' "$examples" > "$output.part"
mv "$output.part" "$output"
