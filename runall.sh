for v in "$@"; do python /tmp/wg/mb2.py /tmp/wg/t$v.so; done
